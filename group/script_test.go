package group

import (
	"context"
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
		return c.LeaveGroup(req, resp.(*kmsg.LeaveGroupResponse))
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
