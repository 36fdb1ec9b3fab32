package config

// identitySettings say who and where a broker is. All but the rack come from flags.
var identitySettings = []Setting{
	{Name: "admin.profiling.enable", Type: Boolean, Default: "false", Own: true,
		Doc: "Whether the admin port also serves /debug/pprof: Go's profiles of CPU, memory and locks, which show file names and arguments."},
	{Name: "advertised.listeners", Type: List, Unset: true, Effect: FromFlag, Why: "--advertise",
		Doc: "The address that clients are told; without the flag it is chosen for each connection."},
	{Name: "broker.id", Type: Int, Default: "-1", Effect: FromFlag, Why: "--node-id",
		Doc: "The broker's number, the same as node.id."},
	{Name: "broker.rack", Type: String, Unset: true,
		Doc: "Where the broker stands. Replicas are spread over racks, and consumers that name theirs can be sent to a replica nearby."},
	{Name: "controller.quorum.voters", Type: List, Default: "", Effect: FromFlag, Why: "--voters",
		Doc: "The first members of the metadata group."},
	{Name: "listeners", Type: List, Default: "PLAINTEXT://127.0.0.1:9092", Effect: FromFlag, Why: "--listen",
		Doc: "The address on which Kafka's protocol is spoken."},
	{Name: "log.dirs", Type: List, Unset: true, Effect: FromFlag, Why: "--data-dir",
		Doc: "The data directory."},
	{Name: "node.id", Type: Int, Unset: true, Effect: FromFlag, Why: "--node-id",
		Doc: "The broker's number."},
	{Name: "process.roles", Type: List, Default: "broker,controller", Effect: FromFlag, Why: "the cluster: every node can be both",
		Doc: "What the node does."},
}

const (
	goroutines  = "work is scheduled over all processors, without pools of threads"
	raftDecides = "leadership and replication are Raft's, which has its own times"
	noPurgatory = "waiting requests are woken one by one and leave nothing to purge"
	ownTimeouts = "the broker's own timeouts apply"
)

// carriedSettings are settings of Kafka that stand in many configuration files and have nothing
// to do here. They are taken, so that such a file can be brought along.
var carriedSettings = []Setting{
	{Name: "auto.leader.rebalance.enable", Type: Boolean, Default: "true",
		Doc: "Whether leadership goes back to a partition's first replica by itself."},
	{Name: "background.threads", Type: Int, Default: "10", Valid: atLeast(1), Update: ClusterWide, Effect: Accepted, Why: goroutines,
		Doc: "Threads for background work."},
	{Name: "controlled.shutdown.enable", Type: Boolean, Default: "true", Effect: Refused, Why: "a stopping broker always gives its leaderships away first",
		Doc: "Whether a stopping broker gives its leaderships away first."},
	{Name: "fetch.purgatory.purge.interval.requests", Type: Int, Default: "1000", Effect: Accepted, Why: noPurgatory,
		Doc: "After how many requests waiting fetches are purged."},
	{Name: "leader.imbalance.check.interval.seconds", Type: Long, Default: "300", Valid: atLeast(1),
		Doc: "How often it is looked whether leadership should go back."},
	{Name: "log.cleaner.dedupe.buffer.size", Type: Long, Default: "134217728", Update: ClusterWide,
		Doc: "The most memory that compaction's table of keys may take, bytes. It takes what the keys need, 22 bytes each or more; where that is not enough, a log is compacted in several passes."},
	{Name: "log.cleaner.io.buffer.load.factor", Type: Double, Default: "0.9", Update: ClusterWide, Effect: Accepted, Why: "the table grows with the keys, and is never more than three quarters full",
		Doc: "How full compaction's table of keys may become."},
	{Name: "log.cleaner.io.buffer.size", Type: Int, Default: "524288", Valid: atLeast(0), Update: ClusterWide, Effect: Accepted, Why: "a MiB is read at a time, or a batch where that is larger",
		Doc: "Memory for compaction's reading and writing."},
	{Name: "log.cleaner.io.max.bytes.per.second", Type: Double, Default: "1.7976931348623157E308", Update: ClusterWide,
		Doc: "The pace of compaction: what it reads and writes together, bytes a second; never more than 512 MiB."},
	{Name: "log.cleaner.threads", Type: Int, Default: "1", Valid: atLeast(0), Update: ClusterWide, Effect: Accepted, Why: "a node compacts one log at a time",
		Doc: "Threads for compaction."},
	{Name: "num.io.threads", Type: Int, Default: "8", Valid: atLeast(1), Update: ClusterWide, Effect: Accepted, Why: goroutines,
		Doc: "Threads that handle requests."},
	{Name: "num.network.threads", Type: Int, Default: "3", Valid: atLeast(1), Update: ClusterWide, Effect: Accepted, Why: goroutines,
		Doc: "Threads that read and write connections."},
	{Name: "num.recovery.threads.per.data.dir", Type: Int, Default: "2", Valid: atLeast(1), Update: ClusterWide, Effect: Accepted, Why: goroutines,
		Doc: "Threads that open logs at start."},
	{Name: "num.replica.fetchers", Type: Int, Default: "1", Valid: atLeast(1), Update: ClusterWide, Effect: Accepted, Why: raftDecides,
		Doc: "Threads that copy from each other broker."},
	{Name: "producer.purgatory.purge.interval.requests", Type: Int, Default: "1000", Effect: Accepted, Why: noPurgatory,
		Doc: "After how many requests waiting produces are purged."},
	{Name: "replica.fetch.max.bytes", Type: Int, Default: "1048576", Valid: atLeast(0), Effect: Accepted, Why: raftDecides,
		Doc: "How much a follower reads of a partition at a time."},
	{Name: "replica.fetch.wait.max.ms", Type: Int, Default: "500", Effect: Accepted, Why: raftDecides,
		Doc: "How long a follower's read may wait."},
	{Name: "replica.lag.time.max.ms", Type: Long, Default: "30000",
		Doc: "For how long a follower that lacks something of its leader's log still counts as in sync."},
	{Name: "request.timeout.ms", Type: Int, Default: "30000", Effect: Accepted, Why: ownTimeouts,
		Doc: "How long the broker waits for an answer of another."},
}
