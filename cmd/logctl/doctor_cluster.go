package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkAdvertised finds addresses that are right for some clients alone.
func (d *doctor) checkAdvertised(brokers []brokerView) {
	seen := map[string]int32{}
	for _, b := range brokers {
		where, addr := fmt.Sprintf("broker %d", b.id), hostPort(b.host, b.port)
		other, twice := seen[addr]
		seen[addr] = b.id
		switch {
		case twice:
			d.say("advertised", where, problem, fmt.Sprintf("%s is also the address of broker %d", addr, other), "give each broker an address of its own with --advertise")
		case isUnspecified(b.host):
			d.say("advertised", where, problem, addr+" is no address that can be connected to", "name one with --advertise on that broker")
		case isLoopback(b.host) && !d.fromHere():
			d.say("advertised", where, problem, addr+" means each client's own machine", "name an address that clients can reach with --advertise on that broker")
		case isLoopback(b.host):
			d.say("advertised", where, fine, addr+", for clients on this machine", "")
		default:
			d.say("advertised", where, fine, addr, "")
		}
	}
}

// fromHere reports whether the brokers were asked over the loopback interface.
func (d *doctor) fromHere() bool {
	return !slices.ContainsFunc(d.bootstrap, func(addr string) bool {
		host, _, _ := net.SplitHostPort(addr)
		return !isLoopback(host)
	})
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

func isUnspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified() || host == ""
}

// checkSpace asks each broker how much of its disk is free (KIP-827).
func (d *doctor) checkSpace(ctx context.Context, cl *kgo.Client, brokers []brokerView) {
	for _, b := range brokers {
		where := fmt.Sprintf("broker %d", b.id)
		if b.fenced {
			continue
		}
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{} // none: only the disk
		limited, cancel := context.WithTimeout(ctx, d.timeout)
		answer, err := cl.Broker(int(b.id)).RetriableRequest(limited, req)
		cancel()
		if err != nil {
			d.say("space", where, warning, "it does not say: "+d.explain(err, "").message, "see whether it runs")
			continue
		}
		for _, dir := range answer.(*kmsg.DescribeLogDirsResponse).Dirs {
			if dir.TotalBytes <= 0 {
				d.say("space", where, skipped, "it does not say how large its disk is", "")
				continue
			}
			d.saySpace(where, dir.UsableBytes, dir.TotalBytes)
		}
	}
}

// Less free space than these parts of a disk, in percent, is worth a word, or a problem.
const (
	spaceWarning = 15
	spaceProblem = 5
)

func (d *doctor) saySpace(where string, free, total int64) {
	percent := 100 * float64(free) / float64(total)
	found := fmt.Sprintf("%s of %s are free (%.0f%%)", render.Bytes(free), render.Bytes(total), percent)
	remedy := "make room: shorten retention (logctl config alter topic/NAME retention.ms=…), move partitions away (logctl partition reassign), or enlarge the disk"
	switch {
	case percent < spaceProblem:
		d.say("space", where, problem, found, remedy)
	case percent < spaceWarning:
		d.say("space", where, warning, found, remedy)
	default:
		d.say("space", where, fine, found, "")
	}
}

// checkWriting writes to every broker, by way of a topic that is deleted again, and reads its clock
// from the times that it stamps.
func (d *doctor) checkWriting(ctx context.Context, cl *kgo.Client, brokers []brokerView) (err error) {
	t := &topicCreate{app: d.app}
	var ids []int32
	var placed [][]int32
	for _, b := range brokers {
		if !b.fenced {
			ids, placed = append(ids, b.id), append(placed, []int32{b.id})
		}
	}
	name := fmt.Sprintf("logctl-doctor-%08x", rand.Uint32())
	stamped, one := "LogAppendTime", "1"
	answers, err := t.createPlaced(ctx, cl, placed, map[string]*string{"message.timestamp.type": &stamped, "min.insync.replicas": &one}, []string{name})
	if err == nil {
		err = answers[name].Err
	}
	if err != nil {
		d.say("writing", "all brokers", warning, "no topic could be made to write to: "+d.explain(err, "").message, "see logctl cluster health; --read-only leaves this check out")
		return nil
	}
	defer func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
		defer cancel()
		if _, failed := d.admin(cl).DeleteTopic(limited, name); failed != nil {
			d.note("Topic %s could not be deleted: %s", name, d.explain(failed, "").message)
			return
		}
		everywhere(limited, cl, []string{name}, gone)
	}()
	d.appear(ctx, cl, []string{name})
	for i, id := range ids {
		d.writeTo(ctx, cl, name, answers[name].ID, int32(i), id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// doctorWrites is how many records each broker is given.
const doctorWrites = 9

func (d *doctor) writeTo(ctx context.Context, cl *kgo.Client, topic string, topicID kadm.TopicID, partition, broker int32) {
	var took []time.Duration
	var ahead, unsure time.Duration
	for i := range doctorWrites {
		sent := d.now()
		stamp, err := writeStamped(ctx, cl, topic, topicID, partition, broker, d.timeout)
		now := d.now()
		if err != nil {
			d.say("writing", fmt.Sprintf("broker %d", broker), problem, "a record was refused: "+d.explain(err, "").message, "see logctl cluster health, and the broker's log")
			return
		}
		if i == 0 {
			continue // it pays for the connection
		}
		took = append(took, now.Sub(sent))
		if half := now.Sub(sent) / 2; unsure == 0 || half < unsure {
			ahead, unsure = stamp.Sub(sent.Add(half)), half+time.Millisecond // stamps are whole milliseconds
		}
	}
	d.sayWrite(broker, took)
	d.sayClock(broker, ahead, unsure)
}

// writeStamped has a broker write one record, and returns the time that it gave it.
func writeStamped(ctx context.Context, cl *kgo.Client, topic string, topicID kadm.TopicID, partition, broker int32, timeout time.Duration) (time.Time, error) {
	builder := record.NewBuilder(record.BuilderOptions{})
	builder.Add(record.Record{Timestamp: time.Now().UnixMilli(), Value: []byte("logctl doctor")})
	batch := builder.Build()
	batch.SetBaseOffset(0) // as Kafka wants it
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(timeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, topicID
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := cl.Broker(int(broker)).RetriableRequest(ctx, req)
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			return time.UnixMilli(p.LogAppendTime), kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return time.Time{}, fmt.Errorf("broker %d answered nothing", broker)
}

// checkAdmin asks an admin address whether the node is ready, and how many descriptors it has.
func (d *doctor) checkAdmin(ctx context.Context, addr string) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	remedy := "name the node's admin listener (--admin-listen, port 9644 where nothing else is set)"
	status, body, err := get(ctx, "http://"+addr+"/readyz")
	if err != nil {
		found, _ := dialError(addr, err)
		d.say("ready", addr, problem, found, remedy)
		return
	}
	switch status {
	case http.StatusOK:
		d.say("ready", addr, fine, "it is ready", "")
	case http.StatusServiceUnavailable:
		d.say("ready", addr, problem, "it is not ready: "+oneLine(body), "see the reasons, and the node's log")
	default:
		d.say("ready", addr, problem, fmt.Sprintf("it answers /readyz with status %d", status), remedy)
		return
	}
	d.checkDescriptors(ctx, addr)
}

func (d *doctor) checkDescriptors(ctx context.Context, addr string) {
	_, body, err := get(ctx, "http://"+addr+"/metrics")
	open, limit := metric(body, "process_open_fds"), metric(body, "process_max_fds")
	if err != nil || open < 0 || limit <= 0 {
		d.say("descriptors", addr, skipped, "it does not say how many file descriptors it has", "")
		return
	}
	found := fmt.Sprintf("%.0f of %.0f file descriptors are open", open, limit)
	if open > limit*3/4 {
		d.say("descriptors", addr, problem, found, descriptorRemedy)
		return
	}
	d.say("descriptors", addr, fine, found, "")
}

const descriptorRemedy = "raise the limit (LimitNOFILE= in its systemd unit, ulimit -n in a shell) and start it again"

// get fetches a page of at most a few megabytes.
func get(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, string(b), err
}

// metric finds a value without labels in Prometheus's text format; -1 where there is none.
func metric(page, name string) float64 {
	lines := bufio.NewScanner(strings.NewReader(page))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				return v
			}
		}
	}
	return -1
}

// oneLine takes the reasons out of /readyz's JSON, or the page as it is.
func oneLine(body string) string {
	var v struct {
		Reasons []string `json:"reasons"`
	}
	if json.Unmarshal([]byte(body), &v) == nil && len(v.Reasons) > 0 {
		return strings.Join(v.Reasons, "; ")
	}
	return strings.Join(strings.Fields(body), " ")
}
