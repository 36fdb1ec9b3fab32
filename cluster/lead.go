package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// roleCheck is how late a change of term under the same leader may be told, of which Raft gives
// no notice.
const roleCheck = time.Second

// observe returns a channel that wakes after every change of the leader.
func (m *Metadata) observe() <-chan raft.Observation {
	wake := make(chan raft.Observation, 1) // what does not fit is not missed: the state is read after the wake
	m.raft.RegisterObserver(raft.NewObserver(wake, false, func(o *raft.Observation) bool {
		_, leader := o.Data.(raft.LeaderObservation)
		return leader
	}))
	return wake
}

// lead follows the elections: a new leader first applies what earlier ones committed, and names
// the cluster where nobody has.
func (m *Metadata) lead(observed <-chan raft.Observation) {
	defer close(m.ended)
	check := time.NewTicker(roleCheck)
	defer check.Stop()
	for {
		m.tellRole()
		select {
		case elected := <-m.raft.LeaderCh():
			m.elected(elected)
		case <-observed:
		case <-check.C:
		case <-m.failed:
			m.turn(following)
			m.shutdown()
			m.tellRole()
			return
		case <-m.closing:
			m.turn(following)
			m.tellRole()
			return
		}
	}
}

// elected follows the end of an election of this node, or of its lead.
func (m *Metadata) elected(won bool) {
	if !won {
		m.turn(following)
		return
	}
	m.turn(takingOver)
	m.tellRole()
	if err := m.takeOver(); err != nil {
		m.log.Warn("taking over the metadata failed", "error", err)
		m.turn(following)
		return
	}
	m.turn(leading)
}

// tellRole calls OnRole where there is news; only lead calls it.
func (m *Metadata) tellRole() {
	if m.opts.OnRole == nil {
		return
	}
	var now told
	now.leader, now.term = m.Leader()
	now.leading = m.IsLeader() && now.leader == m.opts.NodeID
	if now != m.told {
		m.told = now
		m.opts.OnRole(now.leader, now.term, now.leading)
	}
}

// told is what OnRole heard last; the zero value is nothing.
type told struct {
	leader  int32
	term    uint64
	leading bool
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
		founding := []Record{ClusterRecord{NewClusterID(nil)}}
		for _, name := range sortedKeys(m.opts.Features) {
			founding = append(founding, FeatureRecord{name, m.opts.Features[name]})
		}
		if _, err := m.propose(i, founding).wait(); err != nil && !errors.Is(err, errStale) {
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
