package protocol

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAnyListenerServes(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, data := testFile(t, 1<<20)
	api := API{Key: 1, Min: 4, Max: 11, Handle: func(context.Context, *Request) Answer {
		return Answer{Response: filePartitions(f, data, [2]int{1000, 900_000})}
	}}
	s := NewServer(Config{Table: NewTable(api)})
	served := make(chan error, 1)
	go func() { served <- s.Serve(tls.NewListener(plain, &tls.Config{Certificates: web.TLS.Certificates})) }()

	nc, err := tls.Dial("tcp", plain.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	resp := new(kmsg.FetchResponse)
	resp.Version = 11
	c := newClient(t, nc)
	c.receiveInto(c.send(fetch(11)), resp)
	if !bytes.Equal(resp.Topics[0].Partitions[0].RecordBatches, data[1000:901_000]) {
		t.Error("the records arrived damaged")
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
}
