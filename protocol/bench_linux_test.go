package protocol

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// cpuPerGB reports the process's CPU time for each GB of n operations of size bytes.
func cpuPerGB(b *testing.B, size int) (stop func()) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	begin := cpuTime()
	b.ResetTimer()
	return func() {
		b.StopTimer()
		gb := float64(b.N) * float64(size) / 1e9
		b.ReportMetric((cpuTime()-begin).Seconds()/gb, "CPU-s/GB")
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drain reads n bytes.
func drain(b *testing.B, c net.Conn, buf []byte, n int) {
	for n > 0 {
		got, err := c.Read(buf[:min(n, len(buf))])
		if err != nil {
			b.Fatal(err)
		}
		n -= got
	}
}

func dialBench(b *testing.B, addr string) net.Conn {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

func BenchmarkHeartbeat(b *testing.B) {
	_, addr := startServer(b, Config{Table: NewTable(serveHeartbeats())})
	c := dialBench(b, addr)
	frame := formatter.AppendRequest(nil, heartbeat(1), 0)
	buf := make([]byte, 256)
	size := 4 + 4 + 1 + len(heartbeat(1).ResponseKind().AppendTo(nil))
	b.ReportAllocs()
	for b.Loop() {
		c.Write(frame)
		drain(b, c, buf, size)
	}
}

func BenchmarkHeartbeatPipelined(b *testing.B) {
	_, addr := startServer(b, Config{Table: NewTable(serveHeartbeats())})
	c := dialBench(b, addr)
	frame := formatter.AppendRequest(nil, heartbeat(1), 0)
	size := 4 + 4 + 1 + len(heartbeat(1).ResponseKind().AppendTo(nil))
	b.ReportAllocs()
	go func() {
		for range b.N {
			c.Write(frame)
		}
	}()
	drain(b, c, make([]byte, 4096), size*b.N)
}

func BenchmarkProduce(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 100 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			_, addr := startServer(b, Config{Table: NewTable(acceptProduce())})
			c := dialBench(b, addr)
			q := produceOf(make([]byte, size))
			frame := formatter.AppendRequest(nil, q, 0)
			answer := 4 + 4 + 1 + len(q.ResponseKind().AppendTo(nil))
			stop := cpuPerGB(b, size)
			go func() {
				for range b.N {
					c.Write(frame)
				}
			}()
			drain(b, c, make([]byte, 4096), answer*b.N)
			stop()
		})
	}
}

// BenchmarkFetch sends one section a response, by sendfile or by a vectored write from the
// mapping, to a peer that throws everything away without looking (MSG_TRUNC). The mapping is
// one that was read before, or one whose pages are in memory but were never looked at, as
// those of a segment that is being written.
func BenchmarkFetch(b *testing.B) {
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const fileSize = 64 << 20
	f.Write(make([]byte, fileSize))
	data, err := syscall.Mmap(int(f.Fd()), 0, fileSize, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Munmap(data)
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 4 << 20} {
		for _, how := range []string{"writev", "writev-unmapped", "sendfile"} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, how), func(b *testing.B) { benchmarkFetch(b, f, data, size, how) })
		}
	}
}

func benchmarkFetch(b *testing.B, f *os.File, data []byte, size int, how string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err == nil {
			discardAll(c)
			c.Close()
		}
	}()
	c := dialBench(b, ln.Addr().String())
	out := sender{nc: c, timeout: time.Minute}
	if how == "sendfile" {
		out.raw = rawConn(c)
	}
	head := make([]byte, 100)
	stop := cpuPerGB(b, size)
	for i := range b.N {
		if how == "writev-unmapped" && i*size%len(data) < size {
			syscall.Madvise(data, syscall.MADV_DONTNEED) // drops page table entries only
		}
		off := i * size % (len(data) - size + 1) &^ 0xfff
		cuts := []cut{{90, []Section{{File: f, Off: int64(off), Mem: data[off : off+size]}}}}
		if err := out.send(head, cuts); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	<-done
	stop()
	runtime.KeepAlive(f)
}

// discardAll reads to the end without copying what arrives.
func discardAll(c net.Conn) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1<<20)
	for end := false; !end; {
		raw.Read(func(fd uintptr) bool {
			n, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_TRUNC)
			if err == syscall.EAGAIN {
				return false
			}
			end = err != nil || n == 0
			return true
		})
	}
	io.Copy(io.Discard, c)
}

// The same without a connection: what encoding a response to 50 partitions costs.
func BenchmarkEncodeFetch(b *testing.B) {
	resp := NewFetchResponse(16)
	topic := kmsg.NewFetchResponseTopic()
	topic.Partitions = make([]kmsg.FetchResponseTopicPartition, 50)
	parts := make([][]Section, 50)
	for i := range parts {
		topic.Partitions[i].Default()
		parts[i] = []Section{{Mem: make([]byte, 100)}}
	}
	resp.Topics, resp.Sections = []kmsg.FetchResponseTopic{topic}, [][][]Section{parts}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = resp.encode(buf[:0])
	}
}
