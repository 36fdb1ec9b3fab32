package protocol

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Section is a piece of a response that lies in a file. Mem is the same bytes as the file's
// [Off, Off+len(Mem)), mapped; File may be nil, then there is only Mem.
type Section struct {
	File *os.File
	Off  int64
	Mem  []byte
}

func sizeOf(sections []Section) int {
	n := 0
	for _, s := range sections {
		n += len(s.Mem)
	}
	return n
}

// cut is a place in an encoded response where sections belong.
type cut struct {
	at       int
	sections []Section
}

const (
	// writeStep is the most that is written under one deadline, so that a slow reader is
	// told from a stuck one.
	writeStep = 1 << 20
	// sendfileBytes is the length from which a section is sent from the file: below, one
	// vectored write from the mapping costs less.
	sendfileBytes = 64 << 10
)

// sender writes responses to a connection.
type sender struct {
	nc      net.Conn
	raw     syscall.RawConn // nil: no sendfile
	long    int             // bytes from which a section goes by sendfile
	timeout time.Duration
	since   atomic.Int64 // Unix nanoseconds at which the step being written began, 0 between answers

	iov  net.Buffers // to be written next
	size int         // bytes in iov
}

// begin gives the next step its deadline.
func (s *sender) begin() {
	now := time.Now()
	s.since.Store(now.UnixNano())
	s.nc.SetWriteDeadline(now.Add(s.timeout))
}

// send writes b with the sections in their places.
func (s *sender) send(b []byte, cuts []cut) error {
	defer s.since.Store(0)
	at := 0
	for _, cut := range cuts {
		if err := s.add(b[at:cut.at]); err != nil {
			return err
		}
		at = cut.at
		for _, sec := range cut.sections {
			if err := s.addSection(sec); err != nil {
				return err
			}
		}
	}
	if err := s.add(b[at:]); err != nil {
		return err
	}
	return s.flush()
}

func (s *sender) addSection(sec Section) error {
	if s.raw == nil || sec.File == nil || len(sec.Mem) < s.long {
		return s.add(sec.Mem)
	}
	if err := s.flush(); err != nil {
		return err
	}
	return s.sendFile(sec)
}

// add queues b for one vectored write with what is before and behind it.
func (s *sender) add(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeStep-s.size)
		s.iov = append(s.iov, b[:n])
		s.size += n
		b = b[n:]
		if s.size == writeStep {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes what add queued.
func (s *sender) flush() error {
	if s.size == 0 {
		return nil
	}
	s.begin()
	var err error
	if len(s.iov) == 1 {
		_, err = s.nc.Write(s.iov[0])
	} else {
		rest := s.iov
		_, err = rest.WriteTo(s.nc)
	}
	clear(s.iov)
	s.iov, s.size = s.iov[:0], 0
	return err
}

// sendFile sends a section from its file's pages.
func (s *sender) sendFile(sec Section) error {
	for off, end := sec.Off, sec.Off+int64(len(sec.Mem)); off < end; {
		s.begin()
		for step := min(off+writeStep, end); off < step; {
			n, err := sendfile(s.raw, sec.File, off, int(step-off))
			if err != nil {
				return err
			}
			off += int64(n)
		}
	}
	return nil
}
