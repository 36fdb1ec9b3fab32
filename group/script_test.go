package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A script is a conversation between clients and a coordinator, one line a step:
//
//	A join v=9 proto=range      client A sends JoinGroup; its answer is kept
//	A waits                     A has no answer yet
//	A gets ok gen=1 leader=A    A has this answer
//	A heartbeat => ok           sends and gets at once
//	sleep 3s
//
// A client's name stands for its member id, name' for the one it had before. Scripts run against
// a Coordinator in this process, or against a real Kafka.
type script struct {
	claim string
	lines []string
	delay time.Duration // group.initial.rebalance.delay.ms
}

// backend is what a script talks to.
type backend interface {
	// send returns where the response will be.
	send(client string, req kmsg.Request) <-chan kmsg.Response
	// settle lets things happen that need no time.
	settle()
	sleep(d time.Duration)
	topicID(name string) TopicID
}

func parseScripts(t *testing.T, text string) []script {
	var out []script
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			out = append(out, script{claim: line[3:]})
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "delay "):
			d, err := time.ParseDuration(line[6:])
			if err != nil {
				t.Fatal(err)
			}
			out[len(out)-1].delay = d
		default:
			out[len(out)-1].lines = append(out[len(out)-1].lines, line)
		}
	}
	return out
}

// talk is one run of a script.
type talk struct {
	t       *testing.T
	b       backend
	group   string
	ids     map[string]string // member id → name
	current map[string]string // name → member id
	gens    map[string]int32  // name → generation of its last answer
	parked  map[string]<-chan kmsg.Response
	protos  map[string]string
	line    string
}

func runScript(t *testing.T, b backend, s script, group string) {
	k := &talk{
		t: t, b: b, group: group,
		ids: map[string]string{}, current: map[string]string{}, gens: map[string]int32{},
		parked: map[string]<-chan kmsg.Response{}, protos: map[string]string{},
	}
	for _, k.line = range s.lines {
		k.step()
	}
}

func (k *talk) step() {
	line, want, now := strings.Cut(k.line, " => ")
	words := strings.Fields(line)
	if words[0] == "sleep" {
		d, err := time.ParseDuration(words[1])
		if err != nil {
			k.t.Fatal(err)
		}
		k.b.sleep(d)
		return
	}
	who, verb := words[0], words[1]
	switch verb {
	case "waits":
		k.b.settle()
		select {
		case r := <-k.parked[who]:
			k.t.Errorf("%s: got %s", k.line, k.render(who, r))
		default:
		}
		return
	case "gets":
		k.expect(who, strings.Join(words[2:], " "))
		return
	}
	k.parked[who] = k.b.send(who, k.request(who, verb, words[2:]))
	k.b.settle()
	if now {
		k.expect(who, want)
	}
}

func (k *talk) expect(who, want string) {
	k.b.settle()
	select {
	case r := <-k.parked[who]:
		if got := strings.TrimSpace(k.render(who, r)); got != strings.TrimSpace(want) {
			k.t.Errorf("%s\n got: %s", k.line, got)
		}
	default:
		k.t.Errorf("%s\n got no answer", k.line)
	}
}

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

var codeNames = map[int16]string{
	none: "ok", unknownTopicOrPartition: "UNKNOWN_TOPIC_OR_PARTITION", offsetMetadataTooLarge: "OFFSET_METADATA_TOO_LARGE",
	coordinatorLoadInProgress: "COORDINATOR_LOAD_IN_PROGRESS", coordinatorNotAvailable: "COORDINATOR_NOT_AVAILABLE",
	notCoordinator: "NOT_COORDINATOR", illegalGeneration: "ILLEGAL_GENERATION", inconsistentGroupProtocol: "INCONSISTENT_GROUP_PROTOCOL",
	invalidGroupID: "INVALID_GROUP_ID", unknownMemberID: "UNKNOWN_MEMBER_ID", invalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
	rebalanceInProgress: "REBALANCE_IN_PROGRESS", nonEmptyGroup: "NON_EMPTY_GROUP", groupIDNotFound: "GROUP_ID_NOT_FOUND",
	memberIDRequired: "MEMBER_ID_REQUIRED", groupMaxSizeReached: "GROUP_MAX_SIZE_REACHED", fencedInstanceID: "FENCED_INSTANCE_ID",
	groupSubscribedToTopic: "GROUP_SUBSCRIBED_TO_TOPIC", unknownTopicID: "UNKNOWN_TOPIC_ID", unknownServerError: "UNKNOWN_SERVER_ERROR",
}

func codeName(c int16) string {
	if n, ok := codeNames[c]; ok {
		return n
	}
	return fmt.Sprint("code ", c)
}

func (k *talk) learn(who, id string) {
	if id == "" || k.current[who] == id {
		return
	}
	if old := k.current[who]; old != "" {
		for i, n := range k.ids {
			if n == who+"'" {
				k.ids[i] = who + "''"
			}
		}
		k.ids[old] = who + "'"
	}
	k.current[who], k.ids[id] = id, who
}

func (k *talk) name(id string) string {
	if n, ok := k.ids[id]; ok {
		return n
	}
	if id == "" {
		return "none"
	}
	return "?"
}

func ptr(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%s", *s)
}

// render is a response in one line.
func (k *talk) render(who string, r kmsg.Response) string {
	switch r := r.(type) {
	case *kmsg.JoinGroupResponse:
		if r.ErrorCode != none && r.ErrorCode != memberIDRequired {
			return codeName(r.ErrorCode)
		}
		k.learn(who, r.MemberID)
		if r.ErrorCode == memberIDRequired {
			return codeName(r.ErrorCode)
		}
		k.gens[who], k.protos[who] = r.Generation, ptr(r.Protocol)
		out := fmt.Sprintf("ok gen=%d proto=%s leader=%s", r.Generation, ptr(r.Protocol), k.name(r.LeaderID))
		var ms []string
		for _, m := range r.Members {
			n := k.name(m.MemberID)
			if m.InstanceID != nil {
				n += "@" + *m.InstanceID
			}
			ms = append(ms, n)
		}
		sort.Strings(ms)
		if len(ms) > 0 {
			out += " members=" + strings.Join(ms, ",")
		}
		if r.SkipAssignment {
			out += " skip"
		}
		return out
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode != none {
			return codeName(r.ErrorCode)
		}
		return fmt.Sprintf("ok %s", r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		return codeName(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		out := codeName(r.ErrorCode)
		for _, m := range r.Members {
			out += " " + k.name(m.MemberID)
			if m.InstanceID != nil {
				out += "@" + *m.InstanceID
			}
			out += "=" + codeName(m.ErrorCode)
		}
		return out
	case *kmsg.OffsetCommitResponse:
		var out []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%d=%s", p.Partition, codeName(p.ErrorCode)))
			}
		}
		sort.Strings(out)
		return strings.Join(out, " ")
	case *kmsg.OffsetFetchResponse:
		return renderFetch(r)
	case *kmsg.OffsetDeleteResponse:
		var out []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d=%s", t.Topic, p.Partition, codeName(p.ErrorCode)))
			}
		}
		sort.Strings(out)
		return strings.Join(append([]string{codeName(r.ErrorCode)}, out...), " ")
	case *kmsg.DeleteGroupsResponse:
		return codeName(r.Groups[0].ErrorCode)
	case *kmsg.ListGroupsResponse:
		for _, g := range r.Groups {
			if g.Group == k.group {
				return strings.TrimSpace(fmt.Sprintf("%s type=%s %s %s", codeName(r.ErrorCode), g.ProtocolType, g.GroupState, g.GroupType))
			}
		}
		return codeName(r.ErrorCode) + " not listed"
	case *kmsg.DescribeGroupsResponse:
		g := r.Groups[0]
		out := fmt.Sprintf("%s %s type=%s proto=%s", codeName(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
		var ms []string
		for _, m := range g.Members {
			n := k.name(m.MemberID)
			if m.InstanceID != nil {
				n += "@" + *m.InstanceID
			}
			ms = append(ms, fmt.Sprintf("%s:%d:%s", n, len(m.ProtocolMetadata), m.MemberAssignment))
		}
		sort.Strings(ms)
		return strings.Join(append([]string{out}, ms...), " ")
	}
	return fmt.Sprintf("%T", r)
}

func renderFetch(r *kmsg.OffsetFetchResponse) string {
	var out []string
	one := func(p int32, off int64, epoch int32, meta *string, code int16) {
		s := fmt.Sprintf("%d=%d", p, off)
		if epoch >= 0 {
			s += fmt.Sprintf("@%d", epoch)
		}
		if ptr(meta) != "" {
			s += ":" + ptr(meta)
		}
		if code != none {
			s += "!" + codeName(code)
		}
		out = append(out, s)
	}
	code := r.ErrorCode
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			one(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
		}
	}
	for _, g := range r.Groups {
		code = g.ErrorCode
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
			}
		}
	}
	sort.Strings(out)
	return strings.TrimSpace(codeName(code) + " " + strings.Join(out, " "))
}

// call hands a request to the coordinator, by way of its encoding, and returns where the
// response will be.
func call(ctx context.Context, c *Coordinator, client string, req kmsg.Request) <-chan kmsg.Response {
	resp := req.ResponseKind()
	in := kmsg.RequestForKey(req.Key())
	in.SetVersion(req.GetVersion())
	if err := in.ReadFrom(req.AppendTo(nil)); err != nil {
		panic(err)
	}
	wait := dispatch(c, ClientInfo{ID: client, Host: "/127.0.0.1"}, in, resp)
	out := make(chan kmsg.Response, 1)
	finish := func() {
		back := req.ResponseKind()
		if err := back.ReadFrom(resp.AppendTo(nil)); err != nil {
			panic(err)
		}
		out <- back
	}
	if wait == nil {
		finish()
		return out
	}
	go func() {
		wait(ctx)
		if ctx.Err() == nil {
			finish()
		}
	}()
	return out
}

func dispatch(c *Coordinator, client ClientInfo, req kmsg.Request, resp kmsg.Response) func(context.Context) {
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		return c.JoinGroup(client, req, resp.(*kmsg.JoinGroupResponse))
	case *kmsg.SyncGroupRequest:
		return c.SyncGroup(req, resp.(*kmsg.SyncGroupResponse))
	case *kmsg.HeartbeatRequest:
		c.Heartbeat(req, resp.(*kmsg.HeartbeatResponse))
	case *kmsg.LeaveGroupRequest:
		c.LeaveGroup(req, resp.(*kmsg.LeaveGroupResponse))
	case *kmsg.OffsetCommitRequest:
		return c.OffsetCommit(req, resp.(*kmsg.OffsetCommitResponse))
	case *kmsg.OffsetFetchRequest:
		c.OffsetFetch(req, resp.(*kmsg.OffsetFetchResponse))
	case *kmsg.OffsetDeleteRequest:
		return c.OffsetDelete(req, resp.(*kmsg.OffsetDeleteResponse))
	case *kmsg.DescribeGroupsRequest:
		c.DescribeGroups(req, resp.(*kmsg.DescribeGroupsResponse))
	case *kmsg.ListGroupsRequest:
		c.ListGroups(req, resp.(*kmsg.ListGroupsResponse))
	case *kmsg.DeleteGroupsRequest:
		return c.DeleteGroups(req, resp.(*kmsg.DeleteGroupsResponse))
	}
	return nil
}
