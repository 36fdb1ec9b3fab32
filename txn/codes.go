package txn

// Kafka's error codes that a transaction coordinator answers.
const (
	unknownServerError        int16 = -1
	none                      int16 = 0
	coordinatorLoadInProgress int16 = 14
	coordinatorNotAvailable   int16 = 15
	notCoordinator            int16 = 16
	invalidRequest            int16 = 42
	invalidProducerEpoch      int16 = 47
	invalidTxnState           int16 = 48
	invalidProducerIDMapping  int16 = 49
	invalidTransactionTimeout int16 = 50
	concurrentTransactions    int16 = 51
	producerFenced            int16 = 90
	transactionalIDNotFound   int16 = 105
	transactionAbortable      int16 = 120
	invalidRegularExpression  int16 = 128
)

// Answers that never leave this package.
const (
	wantsProducerID int16 = -1000 - iota // decide again with a fresh producer id
	late                                 // see Sender
)
