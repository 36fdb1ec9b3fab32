package main

import (
	"fmt"
	"slices"
	"strings"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kadm"
)

// finding is something that is wrong, or worth knowing, and what to do about it.
type finding struct {
	Kind       string   `json:"kind"`
	Problem    bool     `json:"problem"` // false: worth knowing, and all is well
	What       string   `json:"what"`
	Remedy     string   `json:"remedy"`
	Brokers    []int32  `json:"brokers"`
	Partitions []string `json:"partitions"` // TOPIC:PARTITION
}

// checkup is what findings are made of.
type checkup struct {
	*clusterView
	silent map[int32]string // brokers that cannot be reached from here, and why
	minISR map[string]int   // of topics that have too few replicas in sync
	moving kadm.TopicsSet
}

// findings lists what is wrong, worst first, and then what is worth knowing.
func (c *checkup) findings() []finding {
	var all []finding
	all = append(all, c.quorumFindings()...)
	all = append(all, c.brokerFindings()...)
	all = append(all, c.partitionFindings()...)
	return all
}

// staleVoter is how far a voter's last fetch may lie behind the others' before it counts as down.
const staleVoter = 30_000 // ms

func (c *checkup) quorumFindings() []finding {
	if c.quorum == nil {
		return nil
	}
	if c.quorum.Leader < 0 {
		return []finding{{Kind: "quorum", Problem: true, What: "the metadata quorum has no leader, so nothing can be created or changed",
			Remedy: "see that a majority of its voters runs" + unlessEmpty(": ", join(idsOf(c.quorum.Voters)))}}
	}
	var lost []int32
	for _, m := range c.quorum.Voters {
		if c.hasLost(m) {
			lost = append(lost, m.ID)
		}
	}
	if len(lost) == 0 {
		return c.twoFindings()
	}
	voters := len(c.quorum.Voters)
	spare := "if one more fails, the cluster stands still"
	if n := (voters-1)/2 - len(lost); n > 0 {
		spare = fmt.Sprintf("%d more may fail", n)
	}
	return []finding{{Kind: "quorum", Problem: true, Brokers: lost,
		What:   fmt.Sprintf("%d of %d voters of the metadata quorum %s down: %s; %s", len(lost), voters, be(len(lost)), join(lost), spare),
		Remedy: "start node " + join(lost)}}
}

// twoFindings warns of a cluster of two: it looks like a spare one and is none.
func (c *checkup) twoFindings() []finding {
	if len(c.quorum.Voters) != 2 {
		return nil
	}
	return []finding{{Kind: "two_voters", What: "the metadata quorum has two voters, and a majority of two is both: if either fails the cluster stands still, and of two nodes neither judges the other down",
		Remedy: "run three voters, which survive the loss of one, or one"}}
}

func unlessEmpty(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// hasLost reports whether a voter is down: as a broker, or because it fetched long before others.
func (c *checkup) hasLost(m memberView) bool {
	if b := c.broker(m.ID); b != nil {
		return b.fenced
	}
	newest := int64(0)
	for _, o := range slices.Concat(c.quorum.Voters, c.quorum.Observers) {
		if o.LastFetch != nil {
			newest = max(newest, *o.LastFetch)
		}
	}
	return m.ID != c.quorum.Leader && m.LastFetch != nil && newest-*m.LastFetch > staleVoter
}

func (c *checkup) brokerFindings() []finding {
	var all []finding
	for _, b := range c.brokers {
		addr := hostPort(b.host, b.port)
		switch why, silent := c.silent[b.id]; {
		case b.fenced:
			all = append(all, finding{Kind: "broker_down", Problem: true, Brokers: []int32{b.id},
				What:   fmt.Sprintf("broker %d at %s is registered, but down", b.id, addr),
				Remedy: fmt.Sprintf("start it; if it will not come back: %slogctl cluster remove %d", c.drainFirst(b.id), b.id)})
		case silent:
			all = append(all, finding{Kind: "broker_unreachable", Problem: true, Brokers: []int32{b.id},
				What:   fmt.Sprintf("broker %d does not answer from here, though the cluster counts on it: %s", b.id, why),
				Remedy: "see whether it has just ended; if it runs, set an address that clients can reach with --advertise on it"})
		}
	}
	for _, id := range c.unregistered() {
		n := c.holds(id)
		all = append(all, finding{Kind: "broker_missing", Problem: true, Brokers: []int32{id},
			What:   fmt.Sprintf("broker %d is not there, and %s on it", id, replicasAre(n)),
			Remedy: fmt.Sprintf("start it, or put another in its place with logctl partition reassign --replace %d=NEW", id)})
	}
	return all
}

// drainFirst is the command before a broker's removal, where it holds anything.
func (c *checkup) drainFirst(id int32) string {
	if c.holds(id) == 0 {
		return ""
	}
	return fmt.Sprintf("logctl partition reassign --drain %d, then ", id)
}

// unregistered lists brokers that replicas are on and that the cluster does not know, or does not
// tell of while they are down.
func (c *checkup) unregistered() []int32 {
	var ids []int32
	for _, p := range c.partitions {
		for _, id := range p.Replicas {
			if c.broker(id) == nil && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *checkup) partitionFindings() []finding {
	var leaderless, few, under, elsewhere, moving, two []kadm.PartitionDetail
	for _, p := range c.partitions {
		if len(p.Replicas) == 2 && !c.moving.Lookup(p.Topic, p.Partition) {
			two = append(two, p)
		}
		if c.moving.Lookup(p.Topic, p.Partition) {
			moving = append(moving, p)
		}
		switch {
		case p.Leader < 0:
			leaderless = append(leaderless, p)
		case lagging(p) > 0 && len(p.Replicas)-lagging(p) < min(c.minISR[p.Topic], len(p.Replicas)):
			few = append(few, p)
		case lagging(p) > 0 && !c.moving.Lookup(p.Topic, p.Partition):
			under = append(under, p)
		case !isPreferred(p) && !c.moving.Lookup(p.Topic, p.Partition):
			elsewhere = append(elsewhere, p)
		}
	}
	var all []finding
	add := func(kind string, problem bool, partitions []kadm.PartitionDetail, says, remedy string) {
		if len(partitions) > 0 {
			all = append(all, finding{Kind: kind, Problem: problem, What: some(partitions) + says, Remedy: remedy, Partitions: namesOfPartitions(partitions)})
		}
	}
	add("no_leader", true, leaderless, " without a leader: neither read nor written", c.start(leaderless, "logctl partition list --no-leader shows where they are"))
	add("under_min_isr", true, few, " with fewer replicas in sync than min.insync.replicas: writing with acks=all fails", c.start(few, "wait until replicas have caught up; logctl partition list --under-replicated"))
	add("under_replicated", true, under, " with replicas that are not in sync", c.start(under, "wait until they have caught up; logctl partition list --under-replicated"))
	add("two_replicas", false, two, " with two replicas: a majority of two is both, so that they stand still when either is down", "give them a third: logctl partition move TOPIC:PARTITION --to A,B,C")
	add("leader_elsewhere", false, elsewhere, " not led by the first replica", "logctl partition leaders")
	add("moving", false, moving, " being moved", "logctl partition reassign --status")
	return all
}

// start says which brokers would help partitions, or else what to do otherwise.
func (c *checkup) start(partitions []kadm.PartitionDetail, otherwise string) string {
	var down []int32
	for _, p := range partitions {
		for _, id := range p.Replicas {
			if (c.isDown(id) || c.silent[id] != "") && !slices.Contains(down, id) {
				down = append(down, id)
			}
		}
	}
	if len(down) == 0 {
		return otherwise
	}
	slices.Sort(down)
	return "start broker " + join(down)
}

// maxNamed is how many partitions a sentence names.
const maxNamed = 5

func some(partitions []kadm.PartitionDetail) string {
	names := namesOfPartitions(partitions)
	more := ""
	if len(names) > maxNamed {
		names, more = names[:maxNamed], ", …"
	}
	return fmt.Sprintf("%s (%s%s)", render.Plural(int64(len(partitions)), "partition"), strings.Join(names, ", "), more)
}

func namesOfPartitions(partitions []kadm.PartitionDetail) []string {
	names := make([]string, len(partitions))
	for i, p := range partitions {
		names[i] = fmt.Sprintf("%s:%d", p.Topic, p.Partition)
	}
	return names
}

func be(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func replicasAre(n int) string { return render.Plural(int64(n), "replica") + " " + be(n) }
