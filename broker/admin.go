package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the admin port: its callers are probes and scrapers, which ask briefly and often.
const (
	adminHeaderTime  = 5 * time.Second
	adminIdleTime    = 2 * time.Minute
	adminHeaderBytes = 16 << 10
	adminWriteTime   = 2 * time.Minute // profiles take as long as they are told to, up to this
	scrapeTime       = 10 * time.Second
	scrapes          = 4 // at a time; more are answered 503
)

// openAdmin serves the admin port, from before the cluster is found: a node that waits for others
// is alive, and says whom it waits for. An empty address turns it off.
func (b *Broker) openAdmin(addr string) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --admin-listen", addr, errors.Unwrap(err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", b.livez)
	mux.HandleFunc("GET /readyz", b.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry(), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes, Timeout: scrapeTime,
	}))
	if b.settings.Bool("admin.profiling.enable") {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	b.adminAddr = l.Addr()
	b.log.Info("admin port open", "admin", l.Addr().String())
	b.adminServer = &http.Server{
		Handler: mux, ReadTimeout: adminHeaderTime, WriteTimeout: adminWriteTime, IdleTimeout: adminIdleTime, MaxHeaderBytes: adminHeaderBytes,
	}
	b.background.Go(func() {
		if err := b.adminServer.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			b.log.Error("the admin listener failed", "err", err)
		}
	})
	return nil
}

// AdminAddr is where health and metrics are served, nil where they are not.
func (b *Broker) AdminAddr() net.Addr { return b.adminAddr }

// livez says that the process serves; a broker that cannot go on should be started again.
func (b *Broker) livez(w http.ResponseWriter, _ *http.Request) {
	if b.serving.Load() && b.meta.Err() != nil {
		http.Error(w, b.meta.Err().Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readyz says whether clients should be sent here.
func (b *Broker) readyz(w http.ResponseWriter, _ *http.Request) {
	r := b.readiness()
	w.Header().Set("Content-Type", "application/json")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(r) // the caller has gone
}
