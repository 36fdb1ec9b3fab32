package broker

import (
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"quorumlog/log"
)

// registry returns what /metrics shows. Nothing is counted for its sake: each area's collector
// reads, when it is scraped, what the node knows of itself anyway.
func (b *Broker) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), b.errorCodes)
	for _, a := range []area{nodeMetrics, requestMetrics, partitionMetrics, compactionMetrics, groupMetrics, transactionMetrics} {
		r.MustRegister(&collector{b, a})
	}
	return r
}

// area is a set of metrics that are gathered together.
type area struct {
	descs  []*prometheus.Desc
	gather func(b *Broker, out samples)
}

// collector is an area as Prometheus asks for it.
type collector struct {
	b *Broker
	area
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector. A node that is still starting has nothing to show.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	if c.b.serving.Load() {
		c.gather(c.b, out)
	}
}

// samples is where an area's values go.
type samples chan<- prometheus.Metric

func (s samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s samples) counter(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (s samples) flag(d *prometheus.Desc, is bool, labels ...string) {
	v := 0.0
	if is {
		v = 1
	}
	s.gauge(d, v, labels...)
}

// histogram gives counts of durations up to each bound, of n in all, that took sum together.
func (s samples) histogram(d *prometheus.Desc, bounds []time.Duration, within []uint64, n uint64, sum time.Duration, labels ...string) {
	cumulated, so := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		so += within[i]
		cumulated[bound.Seconds()] = so
	}
	s <- prometheus.MustNewConstHistogram(d, max(n, so), sum.Seconds(), cumulated, labels...)
}

// metricDoc is what docs/metrics.md says of a metric.
type metricDoc struct {
	name, help string
	labels     []string
}

var metricDocs []metricDoc

// metric names one of ours.
func metric(name, help string, labels ...string) *prometheus.Desc {
	name = "quorumlog_" + name
	metricDocs = append(metricDocs, metricDoc{name, help, labels})
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	buildInfo     = metric("build_info", "1, with the version of the broker and of Go.", "version", "go")
	nodeReady     = metric("ready", "Whether /readyz says so.")
	isController  = metric("controller", "Whether this node is the controller: the sum over all nodes is 1.")
	peerUp        = metric("peer_up", "Whether another node is there, as a majority judges.", "node")
	diskFree      = metric("disk_free_bytes", "Free space of the data directory's file system.")
	diskFull      = metric("disk_full", "Whether producers are refused for want of disk space.")
	syncRounds    = metric("sync_rounds_total", "Syncs of the disk, each for all that waited.")
	syncFiles     = metric("sync_files_total", "Files that were synced; by rounds: how many shared one.")
	syncDuration  = metric("sync_duration_seconds", "How long a sync takes.")
	syncWaiting   = metric("sync_waiting_files", "Files that wait for the next sync.")
	startSeconds  = metric("start_seconds", "From the start of the process's work until it served clients.")
	metadataTerm  = metric("metadata_term", "Raft's term of the metadata group: it grows by one with each election of a controller.")
	metadataLag   = metric("metadata_lag_records", "Records in this node's log of the metadata that it has not applied yet.")
	memoryLimit   = metric("memory_limit_bytes", "The limit of Go's heap (GOMEMLIMIT).")
	fetchSessionN = metric("fetch_sessions", "Fetch sessions that are open (KIP-227).")
)

// nodeMetrics are of the node as a whole.
var nodeMetrics = area{
	[]*prometheus.Desc{
		buildInfo, nodeReady, isController, peerUp, diskFree, diskFull, syncRounds, syncFiles, syncDuration, syncWaiting,
		startSeconds, metadataTerm, metadataLag, memoryLimit, fetchSessionN},
	func(b *Broker, out samples) {
		goVersion := "unknown"
		if info, ok := debug.ReadBuildInfo(); ok {
			goVersion = info.GoVersion
		}
		out.gauge(buildInfo, 1, b.version, goVersion)
		out.flag(nodeReady, b.readiness().Ready)
		out.flag(isController, b.meta.IsLeader())
		for id, up := range b.nodes.all() {
			if id != b.id {
				out.flag(peerUp, up, nodeLabel(id))
			}
		}
		if free, err := b.disk.free(b.dataDir); err == nil {
			out.gauge(diskFree, float64(free))
		}
		out.flag(diskFull, b.disk.full())
		s := b.node.Syncer.Stats()
		out.counter(syncRounds, float64(s.Rounds))
		out.counter(syncFiles, float64(s.Files))
		out.histogram(syncDuration, log.SyncBounds[:], s.Within[:], s.Rounds, s.Busy)
		out.gauge(syncWaiting, float64(s.Waiting))
		q := b.meta.Quorum()
		out.gauge(metadataTerm, float64(q.Term))
		out.gauge(metadataLag, float64(max(q.Last, q.Applied)-q.Applied))
		out.gauge(startSeconds, b.startTook.Seconds())
		out.gauge(memoryLimit, float64(debug.SetMemoryLimit(-1)))
		out.gauge(fetchSessionN, float64(b.sessions.count()))
	},
}
