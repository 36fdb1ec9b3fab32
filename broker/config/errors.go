package config

import "errors"

// What can be wrong with a setting. Errors of this package wrap one of these; their text is
// whole and in Kafka's words, ready for a response's error message.
var (
	// ErrUnknown: no setting has that name (INVALID_CONFIG for topics and groups).
	ErrUnknown = errors.New("unknown setting")
	// ErrInvalid: the value is not possible, or would promise what is not done.
	ErrInvalid = errors.New("invalid value")
	// ErrReadOnly: the setting is decided at start (INVALID_REQUEST).
	ErrReadOnly = errors.New("read-only setting")
)

// fault is an error whose text is for the user and whose kind is for errors.Is.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }
