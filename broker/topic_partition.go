package broker

// topicPartition names a partition as requests do.
type topicPartition struct {
	topic     string
	partition int32
}
