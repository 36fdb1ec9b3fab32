//go:build !linux

package protocol

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// rawConn returns nil: sections are always written from their mapping here.
func rawConn(net.Conn) syscall.RawConn { return nil }

func sendfile(syscall.RawConn, *os.File, int64, int) (int, error) {
	return 0, errors.ErrUnsupported
}
