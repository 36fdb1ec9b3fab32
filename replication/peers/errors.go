package peers

import (
	"context"
	"errors"
	"fmt"
)

// Code says what kind of error another node answered. Services may use codes of their own from
// CodeService on.
type Code uint16

// The codes that this package uses.
const (
	CodeFailed    Code = 1 // the handler's error was no *Error
	CodeBusy      Code = 2 // too many requests at once; try again
	CodeNoService Code = 3 // the node does not know the service
	CodeTimeout   Code = 4 // the handler had not enough time
	CodeService   Code = 256
)

// Error is an error that another node answered. A handler that returns one chooses the code.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return e.Text }

// Is makes a call that ran out of time there the same as one that ran out of time here.
func (e *Error) Is(target error) bool {
	return e.Code == CodeTimeout && target == context.DeadlineExceeded
}

// maxText bounds an error's text.
const maxText = 4096

// appendFailure writes an error where a success has a zero.
func appendFailure(b []byte, err error) []byte {
	e := &Error{CodeFailed, ""}
	if !errors.As(err, &e) {
		e = &Error{Code: CodeFailed}
		if errors.Is(err, context.DeadlineExceeded) {
			e.Code = CodeTimeout
		}
	}
	text := err.Error()
	return appendBytes(appendUint(b, uint64(max(e.Code, 1))), text[:min(len(text), maxText)])
}

// failure takes the error, or the zero, at the head of an answer.
func (d *decoder) failure() error {
	code := d.uint()
	switch {
	case d.bad || code > 1<<16-1:
		return errFormat
	case code == 0:
		return nil
	}
	e := &Error{Code: Code(code), Text: d.string()}
	if err := d.end(); err != nil {
		return err
	}
	return e
}

func failed(node int32, err error) error { return fmt.Errorf("node %d: %w", node, err) }
