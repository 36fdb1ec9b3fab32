package config

// groupCoordinatorSettings are those of consumer groups and their offsets.
var groupCoordinatorSettings = []Setting{
	{Name: "group.initial.rebalance.delay.ms", Type: Int, Default: "3000", Valid: atLeast(0),
		Doc: "How long a group that was empty waits for more members before its first rebalance; each new member prolongs it, up to the rebalance timeout."},
	{Name: "group.max.session.timeout.ms", Type: Int, Default: "1800000", Valid: atLeast(1),
		Doc: "The longest session timeout that a member may ask for."},
	{Name: "group.max.size", Type: Int, Default: "2147483647", Valid: atLeast(1),
		Doc: "The most members of a group; a further one is answered GROUP_MAX_SIZE_REACHED."},
	{Name: "group.min.session.timeout.ms", Type: Int, Default: "6000", Valid: atLeast(1),
		Doc: "The shortest session timeout that a member may ask for."},
	{Name: "offset.metadata.max.bytes", Type: Int, Default: "4096", Valid: atLeast(0),
		Doc: "The longest text that may be committed with an offset; a longer one is answered OFFSET_METADATA_TOO_LARGE."},
	{Name: "offsets.commit.timeout.ms", Type: Int, Default: "5000", Valid: atLeast(1),
		Doc: "How long a commit of offsets may wait for its replicas."},
	{Name: "offsets.load.buffer.size", Type: Int, Default: "5242880", Valid: atLeast(1), Effect: Accepted,
		Why: "offsets are loaded batch by batch", Doc: "How much of __consumer_offsets is read at a time when a coordinator takes over."},
	{Name: "offsets.retention.check.interval.ms", Type: Long, Default: "600000", Valid: atLeast(1),
		Doc: "How often it is looked which committed offsets have expired."},
	{Name: "offsets.retention.minutes", Type: Int, Default: "10080", Valid: atLeast(1),
		Doc: "How long offsets are kept after a group became empty, or after the last commit of a consumer that assigns itself partitions."},
	{Name: "offsets.topic.compression.codec", Type: Int, Default: "0", Valid: between(0, 4), Effect: Accepted,
		Why: "batches of offsets are small and written uncompressed", Doc: "The codec of __consumer_offsets, by number."},
	{Name: "offsets.topic.num.partitions", Type: Int, Default: "50", Valid: atLeast(1),
		Doc: "The partitions of __consumer_offsets when it is created; each coordinates its share of the groups."},
	{Name: "offsets.topic.replication.factor", Type: Short, Default: "3", Valid: atLeast(1),
		Doc: "The replicas of __consumer_offsets when it is created; with fewer brokers than that, as many as there are."},
	{Name: "offsets.topic.segment.bytes", Type: Int, Default: "104857600", Valid: atLeast(1),
		Doc: "segment.bytes of __consumer_offsets."},
}

// consumerGroupSettings are the bounds of groups of the consumer protocol (KIP-848).
var consumerGroupSettings = []Setting{
	{Name: "group.consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The default of consumer.heartbeat.interval.ms."},
	{Name: "group.consumer.max.heartbeat.interval.ms", Type: Int, Default: "15000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The largest consumer.heartbeat.interval.ms that can be set."},
	{Name: "group.consumer.max.session.timeout.ms", Type: Int, Default: "60000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The largest consumer.session.timeout.ms that can be set."},
	{Name: "group.consumer.max.size", Type: Int, Default: "2147483647", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The most members of a group of the consumer protocol."},
	{Name: "group.consumer.min.heartbeat.interval.ms", Type: Int, Default: "5000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The smallest consumer.heartbeat.interval.ms that can be set."},
	{Name: "group.consumer.min.session.timeout.ms", Type: Int, Default: "45000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The smallest consumer.session.timeout.ms that can be set."},
	{Name: "group.consumer.session.timeout.ms", Type: Int, Default: "45000", Valid: atLeast(1), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "The default of consumer.session.timeout.ms."},
}

// groupSettings can be set on a group (KIP-848).
var groupSettings = []Setting{
	{Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Valid: atLeast(1), From: from("group.consumer.heartbeat.interval.ms"), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "How often members of the group's consumer protocol send a heartbeat."},
	{Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", Valid: atLeast(1), From: from("group.consumer.session.timeout.ms"), Effect: Accepted,
		Why: noConsumerProtocol, Doc: "After how long without a heartbeat a member of the group's consumer protocol is taken for dead."},
}
