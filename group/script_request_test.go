package group

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// args are a step's key=value words; words without "=" are under their place: "0", "1" …
type args map[string]string

func (a args) str(key, def string) string {
	if v, ok := a[key]; ok {
		return v
	}
	return def
}

func (a args) num(key string, def int) int {
	if v, ok := a[key]; ok {
		n, err := strconv.Atoi(v)
		if err != nil {
			panic(err)
		}
		return n
	}
	return def
}

func (a args) opt(key string) *string {
	if v, ok := a[key]; ok {
		return &v
	}
	return nil
}

func (k *talk) id(name string) string {
	if name == "none" {
		return ""
	}
	if base, ok := strings.CutSuffix(name, "'"); ok {
		for id, n := range k.ids {
			if n == base+"'" {
				return id
			}
		}
	}
	if id, ok := k.current[name]; ok {
		return id
	}
	return name
}

func (k *talk) request(who, verb string, words []string) kmsg.Request {
	a := args{}
	for i, w := range words {
		if key, v, ok := strings.Cut(w, "="); ok && !strings.Contains(key, "/") {
			a[key] = v
		} else {
			a[strconv.Itoa(i)] = w
		}
	}
	group := k.group
	if v, ok := a["group"]; ok {
		group = v
	}
	member := ""
	if _, ok := k.current[who]; ok {
		member = k.id(who)
	}
	if v, ok := a["id"]; ok {
		member = k.id(v)
	}
	gen := int32(a.num("gen", int(k.gens[who])))
	switch verb {
	case "join":
		return k.joinRequest(who, a, group, member)
	case "sync":
		r := kmsg.NewPtrSyncGroupRequest()
		r.Version = int16(a.num("v", 5))
		r.Group, r.MemberID, r.Generation, r.InstanceID = group, member, gen, a.opt("instance")
		r.ProtocolType, r.Protocol = kmsg.StringPtr(a.str("type", "consumer")), kmsg.StringPtr(a.str("proto", k.protos[who]))
		if a.str("proto", "") == "null" {
			r.Protocol = nil
		}
		for _, as := range strings.Split(a.str("assign", ""), ",") {
			if m, v, ok := strings.Cut(as, ":"); ok {
				g := kmsg.NewSyncGroupRequestGroupAssignment()
				g.MemberID, g.MemberAssignment = k.id(m), []byte(v)
				r.GroupAssignment = append(r.GroupAssignment, g)
			}
		}
		return r
	case "heartbeat":
		r := kmsg.NewPtrHeartbeatRequest()
		r.Version = int16(a.num("v", 4))
		r.Group, r.MemberID, r.Generation, r.InstanceID = group, member, gen, a.opt("instance")
		return r
	case "leave":
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Version, r.Group, r.MemberID = int16(a.num("v", 5)), group, member
		if ms, ok := a["members"]; ok {
			for _, m := range strings.Split(ms, ",") {
				lm := kmsg.NewLeaveGroupRequestMember()
				name, inst, ok := strings.Cut(m, "@")
				lm.MemberID = k.id(name)
				if ok {
					lm.InstanceID = &inst
				}
				r.Members = append(r.Members, lm)
			}
			return r
		}
		lm := kmsg.NewLeaveGroupRequestMember()
		lm.MemberID, lm.InstanceID = member, a.opt("instance")
		r.Members = append(r.Members, lm)
		return r
	case "describe":
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Version, r.Groups = int16(a.num("v", 6)), []string{group}
		return r
	case "list":
		r := kmsg.NewPtrListGroupsRequest()
		r.Version = int16(a.num("v", 5))
		if v := a.opt("states"); v != nil {
			r.StatesFilter = strings.Split(*v, ",")
		}
		if v := a.opt("types"); v != nil {
			r.TypesFilter = strings.Split(*v, ",")
		}
		return r
	case "delete":
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = int16(a.num("v", 2)), []string{group}
		return r
	}
	return k.offsetRequest(verb, a, group, member, gen)
}

func (k *talk) joinRequest(who string, a args, group, member string) kmsg.Request {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version = int16(a.num("v", 9))
	r.Group, r.MemberID, r.InstanceID = group, member, a.opt("instance")
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = int32(a.num("session", 10000)), int32(a.num("rebalance", 10000))
	r.ProtocolType = a.str("type", "consumer")
	for _, p := range strings.Split(a.str("proto", "range"), ",") {
		if p == "" {
			continue
		}
		jp := kmsg.NewJoinGroupRequestProtocol()
		sub := kmsg.NewConsumerMemberMetadata()
		sub.Version, sub.Topics, sub.UserData = 0, strings.Split(a.str("topics", "orders"), ","), []byte(a.str("meta", who))
		jp.Name, jp.Metadata = p, sub.AppendTo(nil)
		r.Protocols = append(r.Protocols, jp)
	}
	return r
}

// offsetRequest reads words such as orders/0 or orders/0=42.
func (k *talk) offsetRequest(verb string, a args, group, member string, gen int32) kmsg.Request {
	type part struct {
		topic  string
		p      int32
		offset int64
	}
	var parts []part
	for _, key := range slices.Sorted(maps.Keys(a)) {
		topic, rest, ok := strings.Cut(a[key], "/")
		if !ok || key < "0" || key > "9" {
			continue
		}
		p, off, _ := strings.Cut(rest, "=")
		pn, _ := strconv.Atoi(p)
		on, _ := strconv.Atoi(off)
		parts = append(parts, part{topic, int32(pn), int64(on)})
	}
	switch verb {
	case "commit":
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Version = int16(a.num("v", 9))
		r.Group, r.MemberID, r.Generation, r.InstanceID = group, member, gen, a.opt("instance")
		if member == "" && a["gen"] == "" {
			r.Generation = -1
		}
		r.RetentionTimeMillis = int64(a.num("retention", -1))
		for _, p := range parts {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic, t.TopicID = p.topic, k.b.topicID(p.topic)
			tp := kmsg.NewOffsetCommitRequestTopicPartition()
			tp.Partition, tp.Offset, tp.LeaderEpoch, tp.Metadata = p.p, p.offset, int32(a.num("epoch", -1)), a.opt("meta")
			if n := a.num("metalen", 0); n > 0 {
				tp.Metadata = kmsg.StringPtr(strings.Repeat("é", n))
			}
			t.Partitions = append(t.Partitions, tp)
			r.Topics = append(r.Topics, t)
		}
		return r
	case "fetch":
		r := kmsg.NewPtrOffsetFetchRequest()
		r.Version, r.Group, r.RequireStable = int16(a.num("v", 9)), group, a["stable"] != ""
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		for _, p := range parts {
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.TopicID, gt.Partitions = p.topic, k.b.topicID(p.topic), []int32{p.p}
			g.Topics = append(g.Topics, gt)
			ot := kmsg.NewOffsetFetchRequestTopic()
			ot.Topic, ot.Partitions = p.topic, []int32{p.p}
			r.Topics = append(r.Topics, ot)
		}
		r.Groups = append(r.Groups, g)
		return r
	case "offsetdelete":
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = group
		for _, p := range parts {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = p.topic
			tp := kmsg.NewOffsetDeleteRequestTopicPartition()
			tp.Partition = p.p
			t.Partitions = append(t.Partitions, tp)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
	k.t.Fatalf("%s: unknown verb", k.line)
	return nil
}
