package peers

import (
	"errors"
	"fmt"
	"math"
)

// Errors of connections that were refused, by either side; the error's text is a sentence that
// says who is who.
var (
	ErrVersion      = errors.New("no common protocol version")
	ErrOtherCluster = errors.New("another cluster")
	ErrOtherNode    = errors.New("another node")
	ErrSameID       = errors.New("node id is taken")
	// ErrSameDirectory: a copy of the data directory of a node that runs.
	ErrSameDirectory = errors.New("data directory is in use elsewhere")
	ErrNotAdmitted   = errors.New("not admitted")
	ErrBusy          = errors.New("too much at once")

	errCrossing = errors.New("another connection between the two nodes is used")
)

type refusalCode byte

const (
	accepted refusalCode = iota
	refusedVersion
	refusedCluster
	refusedNode
	refusedID
	refusedAdmission
	refusedBusy
	refusedCrossing
	refusedCopy
)

var refusalErrors = map[refusalCode]error{
	refusedVersion: ErrVersion, refusedCluster: ErrOtherCluster, refusedNode: ErrOtherNode, refusedID: ErrSameID,
	refusedAdmission: ErrNotAdmitted, refusedBusy: ErrBusy, refusedCrossing: errCrossing,
	refusedCopy: ErrSameDirectory,
}

// refusal says why a connection is not wanted; the zero value is none.
type refusal struct {
	code refusalCode
	text string
}

func refuse(code refusalCode, format string, args ...any) refusal {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// err is nil for no refusal.
func (r refusal) err() error {
	if r.code == accepted {
		return nil
	}
	return &refusedError{r}
}

type refusedError struct{ refusal }

func (e *refusedError) Error() string { return e.text }

func (e *refusedError) Unwrap() error { return refusalErrors[e.code] }

// judge compares what a node says of itself with what this one is.
func (p *Peers) judge(other Info) refusal {
	self := p.info()
	switch {
	case other.ID == self.ID && other.Incarnation == self.Incarnation:
		return refuse(refusedID, "node %d has reached itself", self.ID)
	case other.ID == self.ID && other.Identity == self.Identity:
		return refuse(refusedCopy, "the data directory %s of node %d is in use by two processes: one is at %s, the other one at %s",
			self.Identity, self.ID, self.Address, other.Address)
	case other.ID == self.ID:
		return refuse(refusedID, "two nodes have the id %d: one at %s with the data directory %s, one at %s with the data directory %s",
			self.ID, self.Address, self.Identity, other.Address, other.Identity)
	case other.ClusterID != "" && self.ClusterID != "" && other.ClusterID != self.ClusterID:
		return refuse(refusedCluster, "node %d at %s belongs to the cluster %s, node %d at %s to the cluster %s",
			self.ID, self.Address, self.ClusterID, other.ID, other.Address, other.ClusterID)
	}
	if p.config.Admit != nil {
		if err := p.config.Admit(other); err != nil {
			return refuse(refusedAdmission, "node %d does not admit node %d: %v", self.ID, other.ID, err)
		}
	}
	return refusal{}
}

// judgeHello is the answering side's view of a hello.
func (p *Peers) judgeHello(h hello) refusal {
	self := p.info()
	if h.min > maxVersion || h.max < minVersion {
		return refuse(refusedVersion, "node %d at %s speaks the protocol versions %d to %d, the node that called it %d to %d",
			self.ID, self.Address, minVersion, maxVersion, h.min, h.max)
	}
	if r := p.judge(h.info); r.code != accepted || h.to < 0 || h.to == self.ID {
		return r
	}
	return refuse(refusedNode, "at %s is node %d, not node %d that node %d expects there", self.Address, self.ID, h.to, h.info.ID)
}

// judgeWelcome is the dialling side's view of the answer to a hello.
func (p *Peers) judgeWelcome(h hello, w welcome) refusal {
	if w.version < minVersion || w.version > maxVersion {
		return refuse(refusedVersion, "node %d chose the protocol version %d, node %d speaks %d to %d", w.info.ID, w.version, h.info.ID, minVersion, maxVersion)
	}
	if r := p.judge(w.info); r.code != accepted || h.to < 0 || h.to == w.info.ID {
		return r
	}
	return refuse(refusedNode, "node %d answers where node %d expects node %d", w.info.ID, h.info.ID, h.to)
}

// Refused is why a node is not connected that has refused this one, or that this one refuses: of the
// member with the lowest id, nil for none. What passes by itself (ErrBusy) is none.
func (p *Peers) Refused() error {
	var why error
	lowest := int32(math.MaxInt32)
	for _, x := range p.all() {
		x.mu.Lock()
		failure := x.failure
		x.mu.Unlock()
		var r *refusedError
		if x.node < lowest && x.link.Load() == nil && errors.As(failure, &r) && r.code != refusedBusy {
			lowest, why = x.node, failure
		}
	}
	return why
}
