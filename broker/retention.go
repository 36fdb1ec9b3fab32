package broker

import (
	"math"
	"time"

	"quorumlog/log"
)

// fullInterval is how often retention looks for room while the disk is full.
const fullInterval = 10 * time.Second

// retentionLoop deletes what has expired, and looks at the disk. It belongs to one goroutine.
func (b *Broker) retentionLoop() {
	watch := time.NewTicker(diskInterval)
	defer watch.Stop()
	begin := time.Now()
	clock := clockGuard{wall: b.now()}
	last := begin
	var gaveWay time.Time
	for {
		var ahead time.Duration
		select {
		case <-watch.C:
			became := b.disk.check()
			ahead = clock.look(b.now(), time.Since(begin))
			every := time.Duration(b.settings.Int("log.retention.check.interval.ms")) * time.Millisecond
			// A clock that jumps must neither stop retention nor make it spin: what counts is
			// how long this process has been running.
			if b.disk.full() {
				every = min(every, fullInterval)
			}
			if !became && time.Since(last) < every {
				continue
			}
		case <-b.ctx.Done():
			return
		}
		last = time.Now()
		b.retainAll(ahead)
		if b.disk.full() && last.Sub(gaveWay) >= giveWayInterval {
			gaveWay = last
			b.giveWay()
		}
	}
}

// retainAll applies every topic's retention to the replicas here, as of ahead before the clock's
// time.
func (b *Broker) retainAll(ahead time.Duration) {
	for _, x := range b.replicas.list() {
		if b.ctx.Err() != nil {
			return
		}
		p := x.partition()
		if p == nil {
			continue
		}
		c := x.settings()
		r := log.Retention{Ms: -1, Bytes: -1} // what lies below the log start goes in any case
		if c.Cleanup.Deletes() {
			r.Ms, r.Bytes = c.RetentionMs, c.RetentionBytes
			if r.Ms >= 0 {
				r.Ms = min(r.Ms, math.MaxInt64-ahead.Milliseconds()) + ahead.Milliseconds()
			}
		}
		p.ExpireProducers(b.now().Add(-ahead).UnixMilli() - b.settings.Int("producer.id.expiration.ms"))
		retain := p.Retain
		if b.disk.full() {
			retain = p.RetainNow
		}
		freed, err := retain(r)
		if err != nil {
			b.log.Warn("retention failed", "topic", x.topic, "partition", x.key.partition, "err", err)
		} else if freed > 0 {
			b.log.Info("old segments deleted", "topic", x.topic, "partition", x.key.partition, "bytes", freed)
		}
	}
}
