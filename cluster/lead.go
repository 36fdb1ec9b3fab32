package cluster

import (
	"context"
	"errors"
)

// lead follows the elections: a new leader first applies what earlier ones committed, and names
// the cluster where nobody has.
func (m *Metadata) lead() {
	defer close(m.ended)
	for {
		select {
		case elected := <-m.raft.LeaderCh():
			if !elected {
				m.turn(following)
				continue
			}
			m.turn(takingOver)
			if err := m.takeOver(); err != nil {
				m.log.Warn("taking over the metadata failed", "error", err)
				m.turn(following)
				continue
			}
			m.turn(leading)
		case <-m.failed:
			m.turn(following)
			m.shutdown()
			return
		case <-m.closing:
			m.turn(following)
			return
		}
	}
}

func (m *Metadata) takeOver() error {
	if err := m.wait(m.raft.Barrier(0)); err != nil {
		return err
	}
	for {
		i := m.Image()
		if i.ClusterID() != "" {
			return nil
		}
		if _, err := m.propose(i, []Record{ClusterRecord{NewClusterID(nil)}}).wait(); err != nil && !errors.Is(err, errStale) {
			return err
		}
	}
}

// turn sets the role and wakes who waits for it.
func (m *Metadata) turn(r role) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.role = r
	close(m.turned)
	m.turned = make(chan struct{})
}

// state returns the role, and the channel that is closed at the next turn.
func (m *Metadata) state() (role, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.role, m.turned
}

// waitTurn waits for a channel, the context, or the end.
func (m *Metadata) waitTurn(ctx context.Context, turned <-chan struct{}) error {
	select {
	case <-turned:
		return nil
	case <-m.failed:
		return m.Err()
	case <-m.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
