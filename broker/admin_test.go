package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

func startBrokerWithAdmin(t *testing.T, settings map[string]string) *testBroker {
	t.Helper()
	b := newTestBroker(t, settings)
	b.cfg.AdminListen = "127.0.0.1:0"
	b.start()
	t.Cleanup(b.stop)
	return b
}

// get asks the admin port.
func (b *testBroker) get(path string) (status int, body string) {
	b.t.Helper()
	r, err := http.Get("http://" + b.AdminAddr().String() + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// value is that of one series, as /metrics shows it.
func (b *testBroker) value(series string) string {
	b.t.Helper()
	_, text := b.get("/metrics")
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "quorumlog_"+series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return "missing"
}

func TestABrokerThatServesIsAliveAndReady(t *testing.T) {
	b := startBrokerWithAdmin(t, nil)
	b.topic("orders", 2, nil)
	if code, body := b.get("/livez"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/livez: %d %q", code, body)
	}
	// The partitions of a new topic are opened in the background.
	deadline := time.Now().Add(10 * time.Second)
	for {
		code, body := b.get("/readyz")
		var r readiness
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if code == http.StatusOK && r.Ready && r.Node == 1 && len(r.Reasons)+len(r.Degraded) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz: %d %s", code, body)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if code, _ := b.get("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles are served unasked: %d", code)
	}
}

func TestAFullDiskIsDegradedNotUnready(t *testing.T) {
	b := newTestBroker(t, nil)
	b.cfg.AdminListen = "127.0.0.1:0"
	b.cfg.Free = func(string) (int64, error) { return 1, nil }
	b.start()
	t.Cleanup(b.stop)
	code, body := b.get("/readyz")
	if code != http.StatusOK || !strings.Contains(body, "nearly full") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if v := b.value("disk_full"); v != "1" {
		t.Errorf("disk_full %s", v)
	}
}

func TestANodeThatWaitsForVotersIsAliveAndSaysForWhom(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newTestBroker(t, nil)
	// A loopback address of its own, so that the port is known before it listens.
	b.cfg.RaftListen, b.cfg.AdminListen = "127.0.0.1:0", fmt.Sprintf("127.%d.%d.7:9644", 1+rand.IntN(254), rand.IntN(256))
	b.cfg.Voters = []Voter{{1, "127.0.0.1:1"}, {2, "127.0.0.1:2"}}
	b.cfg.Logger = slog.New(slog.DiscardHandler)
	opened := make(chan error, 1)
	go func() {
		_, err := Open(ctx, b.cfg)
		opened <- err
	}()
	deadline := time.Now().Add(20 * time.Second)
	for body := ""; !strings.Contains(body, "waiting for 2@127.0.0.1:2"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("/readyz says %s", body)
		}
		r, err := http.Get("http://" + b.cfg.AdminListen + "/readyz")
		if err != nil {
			continue // not listening yet
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if body = string(text); r.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("/readyz: %d %s", r.StatusCode, body)
		}
	}
	if r, err := http.Get("http://" + b.cfg.AdminListen + "/livez"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("/livez: %v %v", r, err)
	}
	cancel()
	if err := <-opened; err == nil {
		t.Error("opened without the other voter")
	}
}

func TestManyFailedReplicasDoNotHideThoseThatAreBeingOpened(t *testing.T) {
	b := startBroker(t, nil)
	for i := range int32(3 * maxReasons) {
		x := &replica{key: replicaKey{cluster.TopicID{1}, i}, topic: "t", removed: true} // so that the broker does not open it
		if i > 0 {
			x.err = errors.New("damaged")
		}
		b.replicas.mu.Lock()
		b.replicas.all[x.key] = x
		b.replicas.mu.Unlock()
		defer func() {
			b.replicas.mu.Lock()
			delete(b.replicas.all, x.key)
			b.replicas.mu.Unlock()
		}()
	}
	r := b.readiness()
	if r.Ready || len(r.Reasons) != 1 || len(r.Degraded) != maxReasons+1 {
		t.Errorf("ready %v, %q, %d degraded", r.Ready, r.Reasons, len(r.Degraded))
	}
}

func TestProfilesAreServedWhereTheyAreAskedFor(t *testing.T) {
	b := startBrokerWithAdmin(t, map[string]string{"admin.profiling.enable": "true"})
	if code, body := b.get("/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("%d %.80s", code, body)
	}
}

func TestMetricsCountWhatClientsDo(t *testing.T) {
	b := startBrokerWithAdmin(t, nil)
	b.topic("orders", 1, nil)
	c := b.client(kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range 10 {
		if err := c.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var offsets kadm.Offsets
	offsets.AddOffset("orders", 0, 4, -1)
	if err := b.admin().CommitAllOffsets(t.Context(), "billing", offsets); err != nil {
		t.Fatal(err)
	}
	r := b.client(kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := 0; n < 10; {
		n += r.PollFetches(t.Context()).NumRecords()
	}
	unknown := kmsg.NewPtrDeleteTopicsRequest()
	unknown.Topics = append(unknown.Topics, kmsg.DeleteTopicsRequestTopic{Topic: kmsg.StringPtr("nobody")})
	request[*kmsg.DeleteTopicsResponse](b, b.client(), unknown)

	for series, want := range map[string]string{
		`requests_total{api="Produce"}`:                                               "10",
		`request_duration_seconds_count{api="Produce"}`:                               "10",
		`request_duration_seconds_bucket{api="Produce",le="+Inf"}`:                    "10",
		`request_errors_total{api="DeleteTopics",error="UNKNOWN_TOPIC_OR_PARTITION"}`: "1",
		`topic_records_in_total{topic="orders"}`:                                      "10",
		`group_lag_records{group="billing",topic="orders"}`:                           "6",
		`groups{state="Empty"}`:                                                       "1",
		`controller`:                                                                  "1",
		`ready`:                                                                       "1",
		`partitions_leaderless`:                                                       "0",
		`commit_lag_records`:                                                          "0",
		`partitions_under_replicated`:                                                 "0",
		`request_memory_bytes{of="frames"}`:                                           "0",
		`request_failures_total{api="Produce"}`:                                       "0",
		`connections_refused_total{limit="max.connections"}`:                          "0",
		`metadata_lag_records`:                                                        "0",
	} {
		if v := b.value(series); v != want {
			t.Errorf("%s is %s, want %s", series, v, want)
		}
	}
	for _, series := range []string{`topic_bytes_in_total{topic="orders"}`, `topic_log_bytes{topic="orders"}`, "sync_rounds_total", "received_bytes_total", "log_segments",
		"sync_duration_seconds_count", "start_seconds", "metadata_term", "raft_terms", "log_bytes", "log_opens_total", "log_segments_open",
		"connections_limit", `request_memory_limit_bytes{of="frames"}`} {
		if v := b.value(series); v == "missing" || v == "0" {
			t.Errorf("%s is %s", series, v)
		}
	}
	if in, out := b.value(`topic_bytes_in_total{topic="orders"}`), b.value(`topic_bytes_out_total{topic="orders"}`); in != out {
		t.Errorf("%s bytes written, %s read", in, out)
	}
}

func TestMetricsKeepToPrometheusNames(t *testing.T) {
	b := startBrokerWithAdmin(t, nil)
	problems, err := testutil.GatherAndLint(b.registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "quorumlog_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestTheLargestHaveSeriesOfTheirOwnAndTheRestOneTogether(t *testing.T) {
	all := map[string]*topicTotals{}
	for i := range maxLabelled + 50 {
		name := fmt.Sprintf("t%04d", i)
		all[name] = &topicTotals{name: name, size: int64(i), bytesIn: 1}
	}
	out := largest(all, func(x *topicTotals) int64 { return x.size }, (*topicTotals).merge)
	if len(out) != maxLabelled+1 {
		t.Fatalf("%d series", len(out))
	}
	others := out[maxLabelled]
	if others.name != otherLabel || others.bytesIn != 50 || others.size != 49*50/2 {
		t.Errorf("the rest is %+v", others)
	}
	if slices.ContainsFunc(out[:maxLabelled], func(x *topicTotals) bool { return x.size < 50 }) {
		t.Error("a small one has a series of its own")
	}
}

func TestErrorCodesAreFoundWhereverTheyStand(t *testing.T) {
	f := kmsg.NewPtrOffsetFetchResponse()
	f.ErrorCode = 1
	g := kmsg.NewOffsetFetchResponseGroup()
	g.ErrorCode = 2
	topic := kmsg.NewOffsetFetchResponseGroupTopic()
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.ErrorCode = 3
	topic.Partitions = append(topic.Partitions, p)
	g.Topics = append(g.Topics, topic)
	f.Groups = append(f.Groups, g)
	var got []int16
	visitErrorCodes(f, func(code int16) { got = append(got, code) })
	slices.Sort(got)
	if !slices.Equal(got, []int16{1, 2, 3}) {
		t.Errorf("found %v", got)
	}
	b := &Broker{errorCodes: newErrorCodes()}
	r, none := &protocol.Request{Key: f.Key()}, kmsg.NewPtrOffsetFetchResponse()
	none.Groups = append(none.Groups, kmsg.NewOffsetFetchResponseGroup())
	if n := testing.AllocsPerRun(100, func() { b.countErrors(r, none) }); n > 1 { // the one that it is counted with
		t.Errorf("%v allocations", n)
	}
}
