package broker

import (
	"math"
	"time"

	"quorumlog/log"
)

// fullInterval is how often retention looks for room while the disk is full.
const fullInterval = 10 * time.Second

// retention deletes what has expired, and looks at the disk. Its fields belong to the goroutine
// that calls look.
type retention struct {
	b                    *Broker
	begin, last, gaveWay time.Time
	clock                clockGuard
}

func (b *Broker) newRetention() *retention {
	now := time.Now()
	return &retention{b: b, begin: now, last: now, clock: clockGuard{wall: b.now()}}
}

// look is called each diskInterval.
func (r *retention) look() {
	became := r.b.disk.check()
	ahead := r.clock.look(r.b.now(), time.Since(r.begin))
	due := time.Duration(r.b.settings.Int("log.retention.check.interval.ms")) * time.Millisecond
	// A clock that jumps must neither stop retention nor make it spin: what counts is how long
	// this process has been running.
	if r.b.disk.full() {
		due = min(due, fullInterval)
	}
	if !became && time.Since(r.last) < due {
		return
	}
	r.last = time.Now()
	r.b.retainAll(ahead)
	if r.b.disk.full() && r.last.Sub(r.gaveWay) >= giveWayInterval {
		r.gaveWay = r.last
		r.b.giveWay()
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
