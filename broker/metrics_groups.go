package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	groupsByState = metric("groups", "Consumer groups that this node coordinates, by state.", "state")
	groupLag      = metric("group_lag_records", "Records behind what a group has committed, of a topic's partitions that this node has a replica of.", "group", "topic")
)

// groupMetrics are of the consumer groups that this node coordinates.
var groupMetrics = area{
	[]*prometheus.Desc{groupsByState, groupLag},
	func(b *Broker, out samples) {
		list := kmsg.NewPtrListGroupsResponse()
		b.groups.ListGroups(kmsg.NewPtrListGroupsRequest(), list)
		states, lags := map[string]int{}, map[string]*lagTotal{}
		for _, g := range list.Groups {
			states[g.GroupState]++
			b.addLag(lags, g.Group)
		}
		for state, n := range states {
			out.gauge(groupsByState, float64(n), state)
		}
		for _, l := range largest(lags, func(l *lagTotal) int64 { return l.records }, (*lagTotal).merge) {
			out.gauge(groupLag, float64(l.records), l.group, l.topic)
		}
	},
}

// lagTotal is how far a group is behind in one topic.
type lagTotal struct {
	group, topic string
	records      int64
}

func (l *lagTotal) rename(name string) { l.group, l.topic = name, name }

func (l *lagTotal) merge(o *lagTotal) { l.records += o.records }

// addLag adds a group's lag in every topic that it has committed offsets of.
func (b *Broker) addLag(lags map[string]*lagTotal, id string) {
	req, resp := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrOffsetFetchResponse()
	req.SetVersion(offsetFetchMany)
	resp.SetVersion(offsetFetchMany)
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = id
	req.Groups = append(req.Groups, g)
	b.groups.OffsetFetch(req, resp)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			l := lagTotal{group: id, topic: t.Topic}
			known := false
			topic := b.meta.Image().Topic(t.Topic)
			for _, p := range t.Partitions {
				if topic == nil || p.Offset < 0 {
					continue
				}
				x := b.replicas.get(topic.ID, p.Partition)
				if x == nil {
					continue
				}
				if open := x.partition(); open != nil {
					l.records += max(open.HighWatermark()-p.Offset, 0)
					known = true
				}
			}
			if known {
				lags[id+"\x00"+t.Topic] = &l
			}
		}
	}
}

// offsetFetchMany is the version of OffsetFetch that names groups in a list, and topics by name.
const offsetFetchMany = 8
