package group

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ClientInfo is who sent a request.
type ClientInfo struct {
	ID   string // client.id, may be empty
	Host string // address, in Kafka's form "/10.0.0.1"
}

type (
	joinWaiter = waiter[*kmsg.JoinGroupResponse]
	syncWaiter = waiter[*kmsg.SyncGroupResponse]
)

// protocol is one of the assignors that a member supports, with what it tells the leader.
type protocol struct {
	name     string
	metadata []byte
}

// member is one member of a group.
type member struct {
	id          string
	instance    *string // group.instance.id of a static member (KIP-345)
	clientID    string
	clientHost  string
	sessionMs   int32
	rebalanceMs int32
	protocols   []protocol // in the member's order of preference
	assignment  []byte

	session     timer
	join        *joinWaiter // parked JoinGroup
	sync        *syncWaiter // parked SyncGroup
	isNew       bool        // has not had the answer to its first JoinGroup
	pendingSync bool        // has joined this generation and not asked for its assignment yet
}

// metadata is what the member said for a protocol, nil if it does not support it.
func (m *member) metadata(name string) []byte {
	for i := range m.protocols {
		if m.protocols[i].name == name {
			return m.protocols[i].metadata
		}
	}
	return nil
}

// matches says whether a request lists the same protocols, in the same order.
func (m *member) matches(ps []kmsg.JoinGroupRequestProtocol) bool {
	if len(ps) != len(m.protocols) {
		return false
	}
	for i := range ps {
		if ps[i].Name != m.protocols[i].name || !bytes.Equal(ps[i].Metadata, m.protocols[i].metadata) {
			return false
		}
	}
	return true
}

func (m *member) sessionTimeout() time.Duration {
	return time.Duration(m.sessionMs) * time.Millisecond
}

// copyProtocols keeps a request's protocols beyond the request.
func copyProtocols(ps []kmsg.JoinGroupRequestProtocol) []protocol {
	out := make([]protocol, len(ps))
	for i := range ps {
		out[i] = protocol{strings.Clone(ps[i].Name), append([]byte{}, ps[i].Metadata...)}
	}
	return out
}

// newMemberID is an id as Kafka makes them: the client's or instance's name and a random UUID.
func newMemberID(prefix string) string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", prefix, u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func cloneString(s *string) *string {
	if s == nil {
		return nil
	}
	c := strings.Clone(*s)
	return &c
}
