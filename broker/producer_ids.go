package broker

import (
	"context"
	"sync"
)

// producerIDs hands out producer ids. A block that is not used up when the process ends is
// lost: ids are never given twice.
type producerIDs struct {
	allocate func(ctx context.Context) (first, n int64, err error) // a block of the controller's

	mu        sync.Mutex
	from, end int64
}

func (p *producerIDs) next(ctx context.Context) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == p.end {
		first, n, err := p.allocate(ctx)
		if err != nil {
			return -1, err
		}
		p.from, p.end = first, first+n
	}
	id := p.from
	p.from++
	return id, nil
}
