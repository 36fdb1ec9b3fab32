package broker

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"quorumlog/replication"
)

// maxLabelled bounds how many topics, and how many groups, have series of their own: the largest
// ones. The others are summed under the name otherLabel, which no topic can have.
const (
	maxLabelled = 1000
	otherLabel  = "(others)"
)

var (
	replicasHeld    = metric("replicas", "Replicas that this node holds.")
	replicasFailed  = metric("replicas_failed", "Replicas that cannot be opened and are not served.")
	partitionsLed   = metric("partitions_led", "Partitions that this node leads.")
	leaderless      = metric("partitions_leaderless", "Partitions with a replica here that have no leader.")
	underReplicated = metric("partitions_under_replicated", "Partitions led here with fewer replicas in sync than they have.")
	underMinISR     = metric("partitions_under_min_isr", "Partitions led here that refuse acks=all for min.insync.replicas.")
	electionsWon    = metric("elections_won_total", "Partitions that this node has begun to lead, each time counted.")
	commitLag       = metric("commit_lag_records", "Records in logs led here that no majority has yet.")
	terms           = metric("raft_terms", "Raft's terms of all replicas held here, summed up: what it grows by are elections, won or not.")
	openTxns        = metric("transactions_open", "Transactions that are open in partitions led here, counted in each.")
	lateTxns        = metric("partitions_late_transactions", "Partitions led here with a transaction that nobody ends: its producer has not written for transaction.max.timeout.ms and five minutes.")
	stableLag       = metric("stable_lag_records", "Records in logs led here that are committed and wait for the end of a transaction.")
	segments        = metric("log_segments", "Segments of all replicas.")
	segmentsOpen    = metric("log_segments_open", "Segments whose files are open.")
	logBytes        = metric("log_bytes", "Size of all replicas.")
	logOpens        = metric("log_opens_total", "Logs that were opened, and recovered where need was.")
	logOpenSeconds  = metric("log_open_seconds_total", "Time spent in that, of all logs together; many are opened at one time.")
	topicBytes      = metric("topic_log_bytes", "Size of a topic's replicas on this node.", "topic")
	topicRecordsIn  = metric("topic_records_in_total", "Records that producers wrote to this node.", "topic")
	topicBytesIn    = metric("topic_bytes_in_total", "Bytes of batches that producers wrote to this node.", "topic")
	topicBytesOut   = metric("topic_bytes_out_total", "Bytes of batches that consumers read from this node.", "topic")
)

// partitionMetrics are of the replicas that this node holds.
var partitionMetrics = area{
	[]*prometheus.Desc{
		replicasHeld, replicasFailed, partitionsLed, leaderless, underReplicated, underMinISR, electionsWon, commitLag,
		openTxns, lateTxns, stableLag,
		terms, segments, segmentsOpen, logBytes, logOpens, logOpenSeconds, topicBytes, topicRecordsIn, topicBytesIn, topicBytesOut,
	},
	func(b *Broker, out samples) {
		var t partitionTotals
		for _, x := range b.replicas.list() {
			t.add(b, x)
		}
		out.gauge(replicasHeld, float64(t.held))
		out.gauge(replicasFailed, float64(t.failed))
		out.gauge(partitionsLed, float64(t.led))
		out.gauge(leaderless, float64(t.leaderless))
		out.gauge(underReplicated, float64(t.underReplicated))
		out.gauge(underMinISR, float64(t.underMinISR))
		out.counter(electionsWon, float64(b.elections.Load()))
		out.gauge(commitLag, float64(t.lag))
		out.gauge(openTxns, float64(t.openTxns))
		out.gauge(lateTxns, float64(t.lateTxns))
		out.gauge(stableLag, float64(t.stableLag))
		out.gauge(terms, float64(t.terms))
		out.gauge(segments, float64(t.segments))
		out.gauge(segmentsOpen, float64(b.node.Files.Open()))
		out.gauge(logBytes, float64(t.bytes))
		out.counter(logOpens, float64(b.replicas.opens.Load()))
		out.counter(logOpenSeconds, time.Duration(b.replicas.openNanos.Load()).Seconds())
		for _, x := range largest(t.topics, func(x *topicTotals) int64 { return x.size }, (*topicTotals).merge) {
			out.gauge(topicBytes, float64(x.size), x.name)
			out.counter(topicRecordsIn, float64(x.recordsIn), x.name)
			out.counter(topicBytesIn, float64(x.bytesIn), x.name)
			out.counter(topicBytesOut, float64(x.bytesOut), x.name)
		}
	},
}

type partitionTotals struct {
	held, failed, led, leaderless, underReplicated, underMinISR, segments int
	lag                                                                   int64 // records
	bytes, terms                                                          int64
	openTxns, lateTxns                                                    int
	stableLag                                                             int64 // records
	topics                                                                map[string]*topicTotals
}

type topicTotals struct {
	name                               string
	size, recordsIn, bytesIn, bytesOut int64
}

func (t *topicTotals) rename(name string) { t.name = name }

func (t *topicTotals) merge(o *topicTotals) {
	t.size, t.recordsIn, t.bytesIn, t.bytesOut = t.size+o.size, t.recordsIn+o.recordsIn, t.bytesIn+o.bytesIn, t.bytesOut+o.bytesOut
}

// add counts one replica.
func (t *partitionTotals) add(b *Broker, x *replica) {
	t.held++
	p, err := x.status()
	if err != nil {
		t.failed++
	}
	if b.leaders.get(x.key).node < 0 {
		t.leaderless++
	}
	one := topicTotals{
		name: x.topic, recordsIn: x.traffic.recordsIn.Load(), bytesIn: x.traffic.bytesIn.Load(), bytesOut: x.traffic.bytesOut.Load(),
	}
	if p != nil {
		one.size = p.Size()
		t.bytes += one.size
		t.terms += int64(p.Term())
		t.segments += p.Segments()
		if p.State().Leading {
			t.led++
			t.lag += max(p.EndOffset()-p.HighWatermark(), 0)
			t.addTransactions(b, p.Transactions())
			inSync := b.inSync(x)
			if inSync < len(x.placement().Replicas) {
				t.underReplicated++
			}
			if inSync < x.settings().MinInSyncReplicas {
				t.underMinISR++
			}
		}
	}
	if t.topics == nil {
		t.topics = map[string]*topicTotals{}
	}
	if all := t.topics[x.topic]; all != nil {
		all.merge(&one)
	} else {
		t.topics[x.topic] = &one
	}
}

// lateAfter is how much longer than the longest timeout a transaction is open before it counts as
// hanging, as in Kafka: until then its coordinator may abort it.
const lateAfter = 5 * time.Minute

func (t *partitionTotals) addTransactions(b *Broker, x replication.Transactions) {
	t.openTxns += x.Open
	t.stableLag += x.Lag
	if x.Open > 0 && b.now().UnixMilli()-x.Oldest > b.settings.Int("transaction.max.timeout.ms")+lateAfter.Milliseconds() {
		t.lateTxns++
	}
}

// labelled is a total with a name of its own.
type labelled interface{ rename(name string) }

// largest are the totals that get series of their own, the others merged into one.
func largest[T labelled](all map[string]T, size func(T) int64, merge func(into, from T)) []T {
	out := make([]T, 0, len(all))
	for _, x := range all {
		out = append(out, x)
	}
	if len(out) <= maxLabelled {
		return out
	}
	slices.SortFunc(out, func(a, b T) int { return int(min(max(size(b)-size(a), -1), 1)) })
	others := out[maxLabelled]
	others.rename(otherLabel)
	for _, x := range out[maxLabelled+1:] {
		merge(others, x)
	}
	return out[:maxLabelled+1]
}

func nodeLabel(id int32) string { return strconv.Itoa(int(id)) }
