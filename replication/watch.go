package replication

import (
	"slices"
	"sync"
	"sync/atomic"
)

// watchers are those to wake when there may be something new to read.
type watchers struct {
	n    atomic.Int32
	mu   sync.Mutex
	list []*watcher
}

type watcher struct{ wake chan<- struct{} }

// Watch sends to wake, without ever blocking, whenever high watermark, start offset or role have
// changed: give it a buffer of one. Look at the partition after the call, not before: what
// changes from then on is told. One channel may watch many partitions.
func (p *Partition) Watch(wake chan<- struct{}) (cancel func()) {
	w := &watcher{wake}
	ws := &p.watchers
	ws.mu.Lock()
	ws.list = append(ws.list, w)
	ws.n.Store(int32(len(ws.list)))
	ws.mu.Unlock()
	return func() {
		ws.mu.Lock()
		if i := slices.Index(ws.list, w); i >= 0 {
			ws.list = slices.Delete(ws.list, i, i+1)
		}
		ws.n.Store(int32(len(ws.list)))
		ws.mu.Unlock()
	}
}

func (p *Partition) wakeWatchers() {
	ws := &p.watchers
	if ws.n.Load() == 0 {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.list {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
