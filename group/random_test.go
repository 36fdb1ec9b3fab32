package group

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"quorumlog/internal/shards/shardstest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomScript is steps of two clients, B being a static member. Where Kafka's choice is open, such
// as the next leader of several, it avoids the question.
func randomScript(seed uint64, n int) []string {
	rnd := rand.New(rand.NewPCG(seed, 7))
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	// An offset makes the group last: Kafka writes a group before it has anything to keep.
	out := []string{"X commit audit/0=1"}
	for range n {
		who := pick("A", "B")
		instance := ""
		if who == "B" {
			instance = " instance=b"
		}
		switch rnd.IntN(16) {
		case 0, 1, 2, 3:
			id := ""
			if who == "B" && rnd.IntN(3) == 0 {
				id = " id=none"
			}
			out = append(out, who+" join session=60000 rebalance=60000"+instance+id+" v="+pick("9", "8")+" proto="+pick("range,rr", "range,rr", "rr")+" meta="+pick("x", "x", "y"))
		case 4, 5, 6:
			out = append(out, who+" sync"+instance+" assign=A:a,B:b v="+pick("5", "3"))
		case 7:
			out = append(out, who+" heartbeat"+instance+pick("", "", " gen=1", " instance=c"))
		case 8:
			out = append(out, who+" leave"+instance)
		case 9:
			out = append(out, "X leave members=none@b,nobody")
		case 10, 11:
			out = append(out, fmt.Sprintf("%s commit%s orders/%d=%d v=%s", who, instance, rnd.IntN(3), rnd.IntN(100), pick("9", "8", "2")))
		case 12:
			out = append(out, fmt.Sprintf("X commit orders/%d=%d%s", rnd.IntN(3), rnd.IntN(100), pick("", " id=x", " id=x gen=3", " gen=2")))
		case 13:
			out = append(out, "X "+pick("fetch", "fetch v=7 orders/0 orders/1", "list", "list states=stable,empty", "describe", "describe v=4"))
		case 14:
			out = append(out, "X "+pick("offsetdelete orders/0 payments/0", "describe", "describe"))
		case 15:
			out = append(out, who+" "+pick("heartbeat id=none gen=1", "sync id=stranger gen=1 proto=range", "join id=stranger session=60000"))
		}
	}
	return out
}

// transcript runs a script and returns every answer where it came.
func transcript(t *testing.T, b backend, group string, lines []string) []string {
	k := steps(t, b, "")
	k.group = group
	var out []string
	parked := map[string][]<-chan kmsg.Response{}
	var waiting []string // verbs since somebody began to wait
	for _, line := range lines {
		words := strings.Fields(line)
		syncing := strings.Contains(strings.Join(waiting, " "), "sync")
		switch words[1] {
		case "join", "sync", "leave": // Kafka never answers the first of two, nor who leaves during sync
			if words[1] != "leave" && len(parked[words[0]]) > 0 || words[1] == "leave" && syncing {
				out = append(out, line+" (skipped)")
				continue
			}
		}
		ch := b.send(words[0], k.request(words[0], words[1], words[2:]))
		parked[words[0]] = append(parked[words[0]], ch)
		b.settle()
		answers := line
		for _, who := range slices.Sorted(maps.Keys(parked)) {
			var left []<-chan kmsg.Response
			for _, ch := range parked[who] {
				select {
				case r := <-ch:
					answers += " | " + who + ": " + k.render(who, r)
				default:
					left = append(left, ch)
				}
			}
			parked[who] = left
		}
		out = append(out, answers)
		if len(parked["A"])+len(parked["B"]) == 0 {
			waiting = nil
		} else {
			waiting = append(waiting, words[1])
		}
	}
	return out
}

func TestRandomScriptsAgainstKafka(t *testing.T) {
	if *oracleAddr == "" {
		t.Skip("no -kafka")
	}
	for range 60 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			lines := randomScript(seed, 60)
			var ours []string
			synctest.Test(t, func(t *testing.T) { ours = transcript(t, newLocal(t, testOptions(), &shardstest.Log{}), "g", lines) })
			r := &remote{t: t, conns: map[string]*lockedConn{}}
			defer r.close()
			r.learnTopics()
			theirs := transcript(t, r, fmt.Sprintf("r-%d-%d", seed, time.Now().UnixNano()), lines)
			for i := range lines {
				if ours[i] != theirs[i] {
					t.Fatalf("before:\n  %s\nours:   %s\nKafka's %s", strings.Join(ours[:i], "\n  "), ours[i], theirs[i])
				}
			}
		})
	}
}
