//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quorumlog/test/internal/nodes"
	"quorumlog/test/internal/stats"
)

// sampler looks at all nodes at intervals.
type sampler struct {
	cluster *nodes.Cluster
	admin   []string
	load    *load
	every   time.Duration
	series  series
}

// diskLimit is what all nodes together may have on disk: more than that is a fault, not a load.
const diskLimit = 10 << 30

// work samples until ctx ends, which is no error where the time was over.
func (s *sampler) work(ctx context.Context) error {
	begin, used := time.Now(), s.cluster.Used()
	s.series.describe(len(s.admin))
	for next := begin.Add(s.every); pause(ctx, time.Until(next)); next = next.Add(s.every) {
		x := []float64{time.Since(begin).Minutes()}
		var disk float64
		for i := range s.admin {
			goroutines, err := s.goroutines(ctx, i)
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				return fmt.Errorf("node %d: %w", i+1, err)
			}
			size := onDisk(s.cluster.DataDir(i))
			disk += size
			x = append(x, s.cluster.NodeAnonymous(i), float64(s.cluster.Descriptors(i)), goroutines, size/(1<<20))
		}
		if disk > diskLimit {
			return errors.New("the nodes have more on disk than they may")
		}
		took := s.load.probes.take()
		if len(took) == 0 || len(x) < 1+4*len(s.admin) {
			continue
		}
		now := s.cluster.Used()
		x = append(x, stats.Quantile(took, 0.5), stats.Quantile(took, 0.99), (now-used).Seconds()/s.every.Seconds())
		used = now
		s.series.add(x)
		slog.Info("sample", "minutes", stats.Number(x[0]), "values", fmt.Sprintf("%.1f", x[1:]), "acknowledged", s.load.acknowledged.Load(), "found", s.load.found())
	}
	if errors.Is(context.Cause(ctx), errOver) {
		return nil
	}
	return ctx.Err()
}

func (s *sampler) goroutines(ctx context.Context, i int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin[i]+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, errors.New("no go_goroutines in its metrics")
}

// onDisk is the blocks that a directory's files take, in bytes. Files may vanish meanwhile.
func onDisk(dir string) (n float64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what is deleted takes no room
		}
		info, err := os.Lstat(path)
		if err != nil {
			return nil //nolint:nilerr // what is deleted takes no room
		}
		n += float64(info.Sys().(*syscall.Stat_t).Blocks) * 512
		return nil
	})
	return n
}
