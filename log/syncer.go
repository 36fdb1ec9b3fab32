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
	running int      // rounds, at most syncRounds
	spare   []*round // that nobody looks at any more

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

// round is a sync that several callers may share. It serves again when the last of them, and whoever performs
// it, have left.
type round struct {
	dirty   []*os.File
	dirs    []string // whose entries are to be durable
	holders int      // guarded by the Syncer's mu
	run     func()
	done    sync.WaitGroup
	err     error
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
		err := s.perform(files, dirs)
		s.follow()
		return err
	}
	r := s.gathered()
	r.dirty, r.dirs = append(r.dirty, files...), append(r.dirs, dirs...)
	r.holders++
	s.mu.Unlock()
	r.done.Wait()
	err := r.err
	s.leave(r)
	return err
}

// gathered is the round that is to begin when another has ended; the caller holds mu.
func (s *Syncer) gathered() *round {
	if s.next != nil {
		return s.next
	}
	if last := len(s.spare) - 1; last >= 0 {
		s.next, s.spare = s.spare[last], s.spare[:last]
	} else {
		r := &round{}
		r.run = func() {
			r.err = s.perform(r.dirty, r.dirs)
			r.done.Done()
			s.leave(r)
			s.follow()
		}
		s.next = r
	}
	s.next.holders = 1 // whoever performs it
	s.next.done.Add(1)
	return s.next
}

// leave is called by each holder of a round when it has done with it.
func (s *Syncer) leave(r *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.holders--; r.holders > 0 {
		return
	}
	clear(r.dirty)
	clear(r.dirs)
	r.dirty, r.dirs, r.err = r.dirty[:0], r.dirs[:0], nil
	if len(s.spare) <= syncRounds { // one may be gathered beside those that run
		s.spare = append(s.spare, r)
	}
}

// follow begins the round that has been gathered while another ran: on a goroutine, so that the caller
// is not kept by other people's work.
func (s *Syncer) follow() {
	s.mu.Lock()
	next := s.next
	s.next = nil
	if next == nil {
		s.running--
	}
	s.mu.Unlock()
	if next != nil {
		go next.run()
	}
}

// perform is a round's work.
func (s *Syncer) perform(dirty []*os.File, dirs []string) (err error) {
	start := time.Now()
	dirty = unique(dirty)
	switch {
	case len(dirty) == 1 && len(dirs) == 0:
		err = durable.File(dirty[0])
	case s.parallel.Load():
		err = errors.Join(syncEach(dirty), syncDirs(dirs))
	default:
		err = durable.Together(dirty, dirs)
	}
	if s.observe != nil {
		s.observe(dirty, dirs)
	}
	s.count(len(dirty), time.Since(start))
	return err
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
