package record

import "errors"

// Errors of Split: the bytes do not begin with a whole batch.
var (
	// ErrShort means that the batch goes on beyond the bytes given.
	ErrShort = errors.New("incomplete record batch")
	// ErrMagic means a message format other than v2.
	ErrMagic = errors.New("unsupported record format")
)

// Errors of reading a batch's content; details are wrapped around them.
var (
	// ErrCorrupt means that the bytes are not what was written: a bad CRC, an impossible length.
	// Kafka answers CORRUPT_MESSAGE.
	ErrCorrupt = errors.New("corrupt record batch")
	// ErrInvalid means a batch that is intact but breaks a rule. Kafka answers INVALID_RECORD.
	ErrInvalid = errors.New("invalid record batch")
	// ErrTimestamp means a record's timestamp beyond the topic's bounds, or of a kind that only
	// brokers write. Kafka answers INVALID_TIMESTAMP.
	ErrTimestamp = errors.New("invalid timestamp")
	// ErrTooLarge means a batch beyond a size limit as it is. Kafka answers MESSAGE_TOO_LARGE.
	ErrTooLarge = errors.New("record batch is too large")
	// ErrUnpacked means a batch that unpacks to more than the bound. It is answered INVALID_RECORD:
	// sending it again, or in smaller requests, would not help.
	ErrUnpacked = errors.New("record batch unpacks to too much")
	// ErrUnsupportedCodec means a compression that Kafka does not define, or that the request's
	// version does not allow. Kafka answers UNSUPPORTED_COMPRESSION_TYPE.
	ErrUnsupportedCodec = errors.New("unsupported compression")
)
