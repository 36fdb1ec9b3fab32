package config

// transactionSettings are the transaction coordinator's.
var transactionSettings = []Setting{
	{Name: "transaction.abort.timed.out.transaction.cleanup.interval.ms", Type: Int, Default: "10000", Valid: atLeast(1),
		Doc: "How often it is looked which transactions have run out of time and are aborted."},
	{Name: "transaction.max.timeout.ms", Type: Int, Default: "900000", Valid: atLeast(1),
		Doc: "The longest transaction timeout that a producer may ask for."},
	{Name: "transaction.partition.verification.enable", Type: Boolean, Default: "true", Update: ClusterWide, Effect: Accepted,
		Why: "a transaction's first records are always verified", Doc: "Whether a partition asks the coordinator before it takes a transaction's first records."},
	{Name: "transaction.remove.expired.transaction.cleanup.interval.ms", Type: Int, Default: "3600000", Valid: atLeast(1),
		Doc: "How often it is looked which transactional ids have expired."},
	{Name: "transaction.state.log.load.buffer.size", Type: Int, Default: "5242880", Valid: atLeast(1), Effect: Accepted,
		Why: "transactions are loaded batch by batch", Doc: "How much of __transaction_state is read at a time when a coordinator takes over."},
	{Name: "transaction.state.log.min.isr", Type: Int, Default: "2", Valid: atLeast(1),
		Doc: "min.insync.replicas of __transaction_state."},
	{Name: "transaction.state.log.num.partitions", Type: Int, Default: "50", Valid: atLeast(1),
		Doc: "The partitions of __transaction_state when it is created; each coordinates its share of the transactional ids."},
	{Name: "transaction.state.log.replication.factor", Type: Short, Default: "3", Valid: atLeast(1),
		Doc: "The replicas of __transaction_state when it is created; with fewer brokers than that, as many as there are."},
	{Name: "transaction.state.log.segment.bytes", Type: Int, Default: "104857600", Valid: atLeast(1),
		Doc: "segment.bytes of __transaction_state."},
	{Name: "transactional.id.expiration.ms", Type: Int, Default: "604800000", Valid: atLeast(1),
		Doc: "How long a transactional id that nobody uses is remembered."},
}
