package protocol

import (
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
)

// rawConn returns what sendfile needs of a connection; nil where it is not plain TCP.
func rawConn(nc net.Conn) syscall.RawConn {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// sendfile sends up to n bytes of f from off, waiting as long as the write deadline allows. It
// leaves the file's own position alone, so that readers may share it.
func sendfile(raw syscall.RawConn, f *os.File, off int64, n int) (sent int, err error) {
	from := int(f.Fd())
	werr := raw.Write(func(to uintptr) bool {
		for {
			sent, err = syscall.Sendfile(int(to), from, &off, n)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN && sent <= 0:
				return false
			}
			return true
		}
	})
	runtime.KeepAlive(f)
	switch {
	case werr != nil:
		return 0, werr
	case err != nil:
		return 0, os.NewSyscallError("sendfile", err)
	case sent == 0:
		return 0, io.ErrUnexpectedEOF // the file is shorter than the section
	}
	return sent, nil
}
