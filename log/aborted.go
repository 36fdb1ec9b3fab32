package log

// AbortedTransaction is a transaction whose records readers of committed ones must skip.
type AbortedTransaction struct {
	ProducerID int64
	First      int64 // the transaction's first offset
	Last       int64 // of the marker that ended it
	// Stable was the last stable offset when the marker was applied: no transaction that is
	// aborted later concerns an offset below it.
	Stable int64
}
