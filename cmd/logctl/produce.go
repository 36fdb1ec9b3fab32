package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"quorumlog/cmd/logctl/internal/position"
	"quorumlog/cmd/logctl/internal/recordio"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type produce struct {
	*app
	input        recordio.Options
	keySeparator string // as it was typed
	key          string
	hasKey       bool
	headers      []string
	partition    int32
	compression  string
	acks         string
	timestamp    string

	fixedTime    time.Time
	fixedHeaders []kgo.RecordHeader
}

func newProduce(a *app) *cobra.Command {
	p := &produce{app: a}
	c := &cobra.Command{
		Use:   "produce TOPIC [FILE…]",
		Short: "Write records to a topic, from files or standard input",
		Long: `Write records to a topic, from files, or from standard input where none are named (- names it
too), and say how many went to which partition and offsets.

Formats:
  lines  each line is a value; with --key-separator, a key and a value
  csv    the first row names the columns; each further row becomes a JSON object of strings
  json   each line is an object as logctl consume -o json writes it; topic, partition and offset
         in it are passed over, and a value may be any JSON document
  jsonlines
         each line is a JSON document, which is the value as it stands; key and time may be fields

Records with a key go to the partition that Kafka's default partitioner chooses for it. Writing
stops at the first record that is refused; the ones before it are written. So it is after Ctrl-C: what
the table shows is written, and the rest is not, or may be where it was under way.`,
		Example: `  echo hello | logctl produce greetings
  logctl produce orders --key-separator : < orders.txt
  logctl produce orders --format csv --key-column InvoiceNo --timestamp-column InvoiceDate *.csv
  logctl produce orders --format jsonlines --key-column id events.jsonl
  logctl produce orders -k 17850 -H source=shop -H trace=42 -p 3 order.txt
  logctl consume orders -o json | logctl -b other:9092 produce orders --format json`,
		Args: arguments(1, -1),
		ValidArgsFunction: func(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return a.completeTopics(c, args, s)
		},
		RunE: func(c *cobra.Command, args []string) error {
			p.hasKey = c.Flags().Changed("key")
			if err := p.validate(); err != nil {
				return err
			}
			return p.run(c.Context(), args[0], args[1:])
		},
	}
	f := c.Flags()
	f.StringVarP(&p.input.Format, "format", "F", "lines", "what the input is: `lines`, csv, json or jsonlines")
	f.StringVarP(&p.key, "key", "k", "", "the key of every record")
	f.StringVarP(&p.keySeparator, "key-separator", "K", "", "lines: what stands between key and value, such as : or \\t")
	f.StringVar(&p.input.KeyColumn, "key-column", "", "csv, jsonlines: the `COLUMN` or field that is the key as well")
	f.StringVar(&p.input.TimestampColumn, "timestamp-column", "", "csv, jsonlines: the `COLUMN` or field that is the record's time")
	f.BoolVarP(&p.input.NullEmpty, "null", "Z", false, "lines: an empty value is null, which deletes a key in a compacted topic")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "a header for every record, as `KEY=VALUE`; repeat for more")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to this partition")
	f.StringVar(&p.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "who must have a record before it counts as written: all, 1 (the leader) or 0 (nobody)")
	f.StringVar(&p.timestamp, "timestamp", "", "the time of every record, such as 2011-12-01T08:00:00Z or @MILLISECONDS (default now, or what the input says)")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"lines", "csv", "json", "jsonlines"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("compression", cobra.FixedCompletions([]string{"none", "gzip", "snappy", "lz4", "zstd"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (p *produce) validate() error {
	var err error
	if p.input.KeySeparator, err = recordio.Unescape(p.keySeparator); err != nil {
		return usage("--key-separator: %v", err)
	}
	if err := p.input.Validate(); err != nil {
		return usage("%v", err)
	}
	if p.hasKey && (p.input.KeySeparator != "" || p.input.KeyColumn != "") {
		return usage("--key sets the key of every record, so it does not go with --key-separator or --key-column")
	}
	if p.timestamp != "" {
		if p.fixedTime, err = position.ParseTime(p.timestamp); err != nil {
			return usage("--timestamp: %v", err)
		}
	}
	headers, err := orderedKeyValues("header", p.headers)
	if err != nil {
		return err
	}
	for _, h := range headers {
		p.fixedHeaders = append(p.fixedHeaders, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	if p.partition < -1 {
		return usage("--partition must be 0 or more")
	}
	_, err = p.producerOptions()
	return err
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// maxBuffered bounds, in bytes, what waits to be acknowledged; reading waits for it.
const maxBuffered = 64 << 20

func (p *produce) producerOptions() ([]kgo.Opt, error) {
	codec, ok := codecs[p.compression]
	if !ok {
		return nil, usage("--compression %q is not one of none, gzip, snappy, lz4, zstd", p.compression)
	}
	opts := []kgo.Opt{
		kgo.ProducerBatchCompression(codec),
		kgo.MaxBufferedBytes(maxBuffered),
	}
	switch p.acks {
	case "all", "-1":
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usage("--acks %q is not one of all, 1, 0", p.acks)
	}
	if p.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

func (p *produce) run(ctx context.Context, topic string, files []string) error {
	files, total, err := p.openable(files)
	if err != nil {
		return err
	}
	opts, err := p.producerOptions()
	if err != nil {
		return err
	}
	err = p.withAdmin(ctx, func(ctx context.Context, adm *kadm.Client) error {
		largest, err := p.check(ctx, adm, topic)
		opts = append(opts, kgo.ProducerBatchMaxBytes(largest))
		return err
	})
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(p.options(opts...)...)
	if err != nil {
		return usage("%v", err)
	}
	defer cl.Close()
	s := newSender(ctx, cl, topic, p.timeout)
	s.progress, s.total = p.progress(), total
	err = p.send(s.ctx, s, files)
	if flushed := s.finish(); flushed != nil {
		err = flushed
	}
	if len(s.written()) > 0 || err == nil {
		if printed := p.report(s.written()); err == nil {
			err = printed
		}
	}
	return err
}

// Bounds, in bytes, of a batch: Kafka's default, and what fits into the client's requests.
const (
	defaultMaxBatch = 1000012
	largestMaxBatch = 64 << 20
)

// check makes sure that the topic and the partition are there, and returns the largest batch that
// the topic takes.
func (p *produce) check(ctx context.Context, adm *kadm.Client, topic string) (int32, error) {
	if isPattern(topic) {
		return 0, usage("produce takes one topic's name, not the pattern %q", topic)
	}
	topics, err := p.topics(ctx, adm, []string{topic}, true)
	if err == nil && p.partition >= 0 {
		_, err = choosePartitions(topics[0], []int32{p.partition})
	}
	if err != nil {
		return 0, err
	}
	configs, _ := adm.DescribeTopicConfigs(ctx, topic) // who may not read settings may still write
	rc, _ := configs.On(topic, nil)
	for _, c := range rc.Configs {
		if n, err := strconv.Atoi(c.MaybeValue()); c.Key == "max.message.bytes" && err == nil && n > 0 {
			return int32(min(n, largestMaxBatch)), nil
		}
	}
	return defaultMaxBatch, nil
}

func (p *produce) report(written []writtenPartition) error {
	table := render.NewTable("TOPIC~", "PARTITION>", "RECORDS>", "BYTES>", "FIRST>", "LAST>")
	for _, w := range written {
		table.Row(w.Topic, w.Partition, w.Records, render.Bytes(w.Bytes), offsetText(w.FirstOffset), offsetText(w.LastOffset))
	}
	if len(written) == 0 && p.format == render.AsTable {
		p.note("The input is empty; nothing was written.")
		return nil
	}
	return p.print(written, table)
}

func offsetText(n int64) string {
	if n < 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

// orderedKeyValues parses repeated k=v flags, in which a key may come twice.
func orderedKeyValues(flag string, pairs []string) ([][2]string, error) {
	out := make([][2]string, 0, len(pairs))
	for _, pair := range pairs {
		m, err := keyValues(flag, []string{pair})
		if err != nil {
			return nil, err
		}
		for k, v := range m {
			out = append(out, [2]string{k, *v})
		}
	}
	return slices.Clip(out), nil
}
