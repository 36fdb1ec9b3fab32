package replication

import (
	"errors"

	"quorumlog/log"
)

// ErrNotNow is returned by Compact while another replica gets this one's entries from far behind.
var ErrNotNow = errors.New("not compacted while another replica catches up")

// Dirt is how much of this replica's log waits for compaction; see log.Log.Dirt.
func (p *Partition) Dirt(minLag int64) log.Dirt {
	return p.log().Dirt(p.LastStableOffset(), minLag)
}

// Compact compacts this replica's own log, as far as transactions have ended; see log.Log.Compact.
// The caller gives the settings. ErrNotNow is returned while a follower that has just got segment
// files is fed with what followed.
func (p *Partition) Compact(o log.Compaction) (log.Compacted, error) {
	in := p.inst.Load()
	if in.feeding.n.Load() > 0 {
		return log.Compacted{}, ErrNotNow
	}
	if err := p.Checkpoint(); err != nil {
		return log.Compacted{}, err
	}
	o.Limit, o.Producers = p.LastStableOffset(), p.Producers()
	var err error
	if o.Aborted, err = p.Aborted(0, o.Limit); err != nil {
		return log.Compacted{}, err
	}
	done, err := in.log.Compact(o)
	if errors.Is(err, log.ErrHeld) {
		err = ErrNotNow
	}
	if done.Written > 0 { // maybe in vain; then this costs little
		p.due.renew()
		err = errors.Join(err, p.Checkpoint())
	}
	return done, p.readError(err)
}

// renew has the next checkpoint written though no entry is new.
func (d *due) renew() {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.index = 0
}
