package group

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerType is the protocol type of consumers, whose metadata the coordinator can read.
const consumerType = "consumer"

// supports says whether a member with these protocols can be in the group with all the others.
func (g *group) supports(protocolType string, ps []kmsg.JoinGroupRequestProtocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(ps) > 0
	}
	if protocolType == "" || protocolType != g.protocolType {
		return false
	}
	for i := range ps {
		if g.supported[ps[i].Name] == len(g.members) {
			return true
		}
	}
	return false
}

// vote selects the protocol of the next generation: of those that all members support, the one
// that most of them like best; of several such, the one that was voted for first.
func (g *group) vote() string {
	votes := make(map[string]int, 2)
	best := ""
	for _, m := range g.members {
		for i := range m.protocols {
			if g.supported[m.protocols[i].name] == len(g.members) {
				votes[m.protocols[i].name]++
				break
			}
		}
	}
	for _, m := range g.members {
		for i := range m.protocols {
			if n := votes[m.protocols[i].name]; n > votes[best] {
				best = m.protocols[i].name
			}
		}
	}
	return best
}

// subscriptions is the topics that this generation's members subscribe to; nil if that is unknown.
func (g *group) subscriptions() map[string]struct{} {
	if g.protocolType != consumerType {
		return nil
	}
	topics := make(map[string]struct{})
	for _, m := range g.members {
		if !subscription(m.metadata(g.protocol), topics) {
			return nil
		}
	}
	return topics
}

// subscribes says whether the group may be consuming a topic.
func (g *group) subscribes(topic string) bool {
	if g.subscribed == nil {
		return g.protocolType == consumerType
	}
	_, ok := g.subscribed[topic]
	return ok
}

// subscription adds the topics of a consumer's metadata, of which every version begins like
// version 0: version int16, topics array of string. It reports whether it could be read.
func subscription(b []byte, topics map[string]struct{}) bool {
	if len(b) < 6 {
		return false
	}
	n := int32(binary.BigEndian.Uint32(b[2:]))
	b = b[6:]
	if n < 0 || int(n) > len(b)/2 {
		return false
	}
	for range n {
		if len(b) < 2 {
			return false
		}
		l := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+l {
			return false
		}
		topics[string(b[2:2+l])] = struct{}{}
		b = b[2+l:]
	}
	return true
}
