package broker

import (
	"context"
	"sync"
)

// producerIDBlock is how many producer ids a broker takes from the metadata at a time.
const producerIDBlock = 1000

// producerIDs hands out producer ids. A block that is not used up when the process ends is
// lost: ids are never given twice.
type producerIDs struct {
	allocate func(ctx context.Context, n int64) (first int64, err error)

	mu        sync.Mutex
	from, end int64
}

func (p *producerIDs) next(ctx context.Context) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from == p.end {
		first, err := p.allocate(ctx, producerIDBlock)
		if err != nil {
			return -1, err
		}
		p.from, p.end = first, first+producerIDBlock
	}
	id := p.from
	p.from++
	return id, nil
}
