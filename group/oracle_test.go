package group

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// With -kafka HOST:PORT the scenarios run against that broker instead, to see that what they
// expect is what Apache Kafka does. The broker must have the default group settings, except for
// group.initial.rebalance.delay.ms=0 (scenarios with another delay are left out), and the topics
// orders, payments and audit with three partitions each.
var oracleAddr = flag.String("kafka", "", "address of a Kafka broker to compare with")

// remote is a real broker. Each client has a connection of its own, and each request that may
// wait, so that nobody is held up.
type remote struct {
	t     *testing.T
	conns map[string]*lockedConn
	ids   map[string]TopicID
}

func (r *remote) send(client string, req kmsg.Request) <-chan kmsg.Response {
	out := make(chan kmsg.Response, 1)
	if req.Key() == 11 || req.Key() == 14 {
		client = fmt.Sprint(client, " waits ", len(r.conns))
	}
	c := r.conns[client]
	if c == nil {
		nc, err := net.Dial("tcp", *oracleAddr)
		if err != nil {
			r.t.Fatal(err)
		}
		c = &lockedConn{Conn: nc}
		r.conns[client] = c
	}
	go func() {
		resp, err := exchange(c, client, req)
		if err == nil {
			out <- resp
		}
	}()
	return out
}

// lockedConn carries one request at a time.
type lockedConn struct {
	net.Conn
	mu sync.Mutex
}

func exchange(c *lockedConn, client string, req kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(client))
	if _, err := c.Write(f.AppendRequest(nil, req, 1)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	b = b[4:]
	if resp.IsFlexible() && req.Key() != 18 {
		b = b[1:]
	}
	return resp, resp.ReadFrom(b)
}

func (r *remote) settle()                     { time.Sleep(200 * time.Millisecond) }
func (r *remote) sleep(d time.Duration)       { time.Sleep(d) }
func (r *remote) topicID(name string) TopicID { return r.ids[name] }

func (r *remote) close() {
	for _, c := range r.conns {
		c.Close()
	}
}

func (r *remote) learnTopics() {
	m := kmsg.NewPtrMetadataRequest()
	m.Version, m.AllowAutoTopicCreation = 12, false
	for _, name := range []string{"orders", "payments", "audit"} {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		m.Topics = append(m.Topics, t)
	}
	resp := (<-r.send("meta", m)).(*kmsg.MetadataResponse)
	r.ids = map[string]TopicID{"missing": {1, 2, 3}}
	for _, t := range resp.Topics {
		r.ids[*t.Topic] = t.TopicID
	}
}

func TestScenariosAgainstKafka(t *testing.T) {
	if *oracleAddr == "" {
		t.Skip("no -kafka")
	}
	files, _ := filepath.Glob("testdata/scenarios/*.txt")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for i, s := range parseScripts(t, string(text)) {
			t.Run(filepath.Base(f)+"/"+s.claim, func(t *testing.T) {
				t.Parallel()
				if s.delay > 0 {
					t.Skip("needs another delay")
				}
				r := &remote{t: t, conns: map[string]*lockedConn{}}
				defer r.close()
				r.learnTopics()
				runScript(t, r, s, fmt.Sprintf("g-%d-%d", time.Now().UnixNano(), i))
			})
		}
	}
}
