package log

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/internal/durable"
)

// Syncer makes files durable for a whole node by group commit: whoever arrives while syncRounds
// are running goes into the next one. A round with one dirty file is one fdatasync; a round with
// several is one syncfs, whose cost does not grow with the number of partitions.
type Syncer struct {
	mu      sync.Mutex
	next    *round
	running int          // rounds, at most syncRounds
	spare   [][]*os.File // memory of rounds that have ended, for as many as there are at a time

	// parallel is set where syncfs is slow (a filesystem shared with other writers).
	parallel atomic.Bool

	observe func(files []*os.File, dirs []string) // a test looks on

	rounds, files atomic.Uint64
	nanos         atomic.Int64
	within        [len(SyncBounds)]atomic.Uint64
}

// SyncBounds are the upper bounds of SyncStats.Within.
var SyncBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

type round struct {
	dirty []*os.File
	dirs  []string      // whose entries are to be durable
	done  chan struct{} // nil where only whoever performs it waits
	err   error
}

// syncRounds is how many rounds may run at once. With two, whoever comes alone while another is
// being served does not wait for it; with more, less is shared.
const syncRounds = 2

// NewSyncer returns a Syncer; it needs no goroutine while nothing is dirty.
func NewSyncer() *Syncer {
	s := &Syncer{}
	s.parallel.Store(!durable.HasTogether)
	return s
}

// Sync returns once everything written to the files before the call is durable. The files must
// lie on one filesystem and stay open until it returns; their order may change. After an error
// nothing is known about what reached the disk.
func (s *Syncer) Sync(files ...*os.File) error { return s.sync(files, nil) }

// sync is Sync for files, one at least, and the entries of directories.
func (s *Syncer) sync(files []*os.File, dirs []string) error {
	s.mu.Lock()
	if s.running < syncRounds { // none is being gathered: whoever ends one begins that
		s.running++
		s.mu.Unlock()
		r := round{dirty: files, dirs: dirs}
		s.run(&r)
		return r.err
	}
	if s.next == nil {
		s.next = &round{done: make(chan struct{})}
		if last := len(s.spare) - 1; last >= 0 {
			s.next.dirty, s.spare = s.spare[last], s.spare[:last]
		}
	}
	r := s.next
	r.dirty, r.dirs = append(r.dirty, files...), append(r.dirs, dirs...)
	s.mu.Unlock()
	<-r.done
	return r.err
}

// run performs rounds: the caller's own at once, later ones on a goroutine so that the caller
// is not kept by other people's work.
func (s *Syncer) run(r *round) {
	s.perform(r)
	s.mu.Lock()
	if r.done != nil {
		clear(r.dirty)
		s.spare = append(s.spare, r.dirty[:0])
	}
	next := s.next
	s.next = nil
	if next == nil {
		s.running--
	}
	s.mu.Unlock()
	if next != nil {
		go s.run(next)
	}
}

func (s *Syncer) perform(r *round) {
	start := time.Now()
	r.dirty = unique(r.dirty)
	switch {
	case len(r.dirty) == 1 && len(r.dirs) == 0:
		r.err = durable.File(r.dirty[0])
	case s.parallel.Load():
		r.err = errors.Join(syncEach(r.dirty), syncDirs(r.dirs))
	default:
		r.err = durable.Together(r.dirty, r.dirs)
	}
	if s.observe != nil {
		s.observe(r.dirty, r.dirs)
	}
	s.count(len(r.dirty), time.Since(start))
	if r.done != nil {
		close(r.done)
	}
}

// count notes a round.
func (s *Syncer) count(files int, took time.Duration) {
	s.rounds.Add(1)
	s.files.Add(uint64(files))
	s.nanos.Add(int64(took))
	for i := range SyncBounds {
		if took <= SyncBounds[i] {
			s.within[i].Add(1)
			return
		}
	}
}

func syncDirs(dirs []string) error {
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		if err := durable.Dir(d); err != nil {
			return err
		}
	}
	return nil
}

// unique sorts open files and leaves each once, in place.
func unique(files []*os.File) []*os.File {
	slices.SortFunc(files, func(a, b *os.File) int { return cmp.Compare(a.Fd(), b.Fd()) })
	return slices.Compact(files)
}

// syncParallelism bounds the threads that wait in fdatasync.
const syncParallelism = 16

func syncEach(files []*os.File) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
		slots = make(chan struct{}, syncParallelism)
	)
	for _, f := range files {
		slots <- struct{}{}
		wg.Go(func() {
			if err := durable.File(f); err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
			<-slots
		})
	}
	wg.Wait()
	return first
}

// SyncStats counts a Syncer's work since it was made, and who waits for the next round.
type SyncStats struct {
	Rounds, Files uint64
	Busy          time.Duration
	// Within counts the rounds that took no longer than the bound of the same place in SyncBounds,
	// and longer than the one before it.
	Within  [len(SyncBounds)]uint64
	Waiting int // files
}

// Stats returns the counters.
func (s *Syncer) Stats() SyncStats {
	st := SyncStats{Rounds: s.rounds.Load(), Files: s.files.Load(), Busy: time.Duration(s.nanos.Load())}
	for i := range s.within {
		st.Within[i] = s.within[i].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		st.Waiting = len(s.next.dirty)
	}
	return st
}

// probeFiles is how many dirty files Measure compares the two ways with.
const probeFiles = 8

// Measure writes a few small files in dir, compares one syncfs with as many fdatasyncs, and
// keeps to the faster way from then on. It reports what it found.
func (s *Syncer) Measure(dir string) (whole, each time.Duration, err error) {
	if !durable.HasTogether {
		return 0, 0, nil
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	for range probeFiles {
		f, err := os.CreateTemp(dir, ".sync-probe-*")
		if err != nil {
			return 0, 0, err
		}
		files = append(files, f)
	}
	dirty := func() error {
		for _, f := range files {
			if _, err := f.WriteAt(make([]byte, 1024), 0); err != nil {
				return err
			}
		}
		return nil
	}
	timed := func(sync func() error) (time.Duration, error) {
		if err := dirty(); err != nil {
			return 0, err
		}
		start := time.Now()
		err := sync()
		return time.Since(start), err
	}
	// The first round pays for allocating the blocks; it does not count.
	if _, err = timed(func() error { return durable.Together(files, nil) }); err != nil {
		return 0, 0, err
	}
	if each, err = timed(func() error { return syncEach(files) }); err != nil {
		return 0, 0, err
	}
	if whole, err = timed(func() error { return durable.Together(files, nil) }); err != nil {
		return 0, 0, err
	}
	s.parallel.Store(whole > 2*each)
	return whole, each, nil
}
