package broker

import "github.com/prometheus/client_golang/prometheus"

var (
	compactionRatio    = metric("compaction_dirty_ratio", "Share of the dirtiest compacted log that waits for compaction.")
	compactionWaiting  = metric("compaction_logs_waiting", "Logs that are dirty enough to be compacted, or have waited long enough.")
	compactionRuns     = metric("compaction_runs_total", "Compactions of a log, those included that failed.")
	compactionFailures = metric("compaction_failures_total", "Compactions that failed; the log stayed as it was.")
	compactionLast     = metric("compaction_last_timestamp_seconds", "When a compaction last ended, 0 before the first.")
	compactionRead     = metric("compaction_read_bytes_total", "Bytes that compaction has read.")
	compactionWritten  = metric("compaction_written_bytes_total", "Bytes that compaction has written.")
	compactionFreed    = metric("compaction_freed_bytes_total", "Bytes by which compaction has made logs smaller.")
)

// compactionMetrics are of the logs that are compacted here.
var compactionMetrics = area{
	[]*prometheus.Desc{
		compactionRatio, compactionWaiting, compactionRuns, compactionFailures, compactionLast, compactionRead, compactionWritten, compactionFreed,
	},
	func(b *Broker, out samples) {
		c := &b.cleaner
		out.gauge(compactionRatio, float64(c.dirtiest.Load())/1e6)
		out.gauge(compactionWaiting, float64(c.waiting.Load()))
		out.counter(compactionRuns, float64(c.runs.Load()))
		out.counter(compactionFailures, float64(c.failures.Load()))
		out.gauge(compactionLast, float64(c.lastRun.Load())/1000)
		out.counter(compactionRead, float64(c.read.Load()))
		out.counter(compactionWritten, float64(c.written.Load()))
		out.counter(compactionFreed, float64(c.dropped.Load()))
	},
}
