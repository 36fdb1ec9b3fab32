package log

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"quorumlog/internal/durable"
)

// compactGroup writes the group's segments anew, as one, and puts that in their place.
func (c *compactor) compactGroup(group []*segment) error {
	w, err := c.newStaged(group)
	if err != nil {
		return err
	}
	if err = c.rewrite(group, w); err == nil {
		err = c.swap(group, w)
	}
	w.discard()
	return err
}

// rewrite writes what is left of the group's batches.
func (c *compactor) rewrite(group []*segment, w *stagedSegment) error {
	for i, s := range group {
		last := -1
		if i == len(group)-1 {
			last = s.lastData()
		}
		if err := w.addTerms(s); err != nil {
			return err
		}
		err := c.sweep(s, func(x swept) (bool, error) {
			v, err := c.judge(x, x.ordinal == last)
			if err != nil || v.batch == nil {
				return true, err
			}
			if v.abort != nil {
				w.aborted = append(w.aborted, *v.abort)
			}
			return true, w.add(v.batch, x.kind, x.number)
		})
		if err != nil {
			return err
		}
		w.last += int(s.raftEntries())
	}
	return w.finish(group[0].size.Load())
}

// addTerms takes over the terms of a source's entries, those included that are removed.
func (w *stagedSegment) addTerms(s *segment) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.free()
	if s.compacted {
		for _, t := range h.terms {
			w.entries.terms.begin(w.last+t.ordinal, t.term)
		}
		return nil
	}
	for i := range int(s.entries.Load()) {
		w.entries.terms.begin(w.last+i, uint64(h.index.at(i).term))
	}
	return nil
}

// swap puts a staged segment in the place of the group: the renaming of its data file is what
// decides. The other files of the group go when that is durable.
func (c *compactor) swap(group []*segment, w *stagedSegment) error {
	l := c.log
	l.swapping.Lock()
	defer l.swapping.Unlock()
	var space []*os.File // of the old files, which does not go while others wait
	defer func() { l.opts.Files.vacating.vacate(space) }()
	for _, s := range group {
		space = append(space, s.space()...)
	}
	l.checkpointMu.Lock()
	l.mu.Lock()
	err := l.replaceable(group)
	if err == nil {
		err = c.exchange(group, w.seg)
	}
	l.mu.Unlock()
	l.checkpointMu.Unlock()
	if err != nil {
		return err
	}
	if err := c.step("sync directory"); err != nil {
		return err
	}
	if err := durable.Dir(l.dir); err != nil {
		return err
	}
	for _, s := range group[1:] {
		if err := c.step("delete " + s.path(dataSuffix)); err != nil {
			return err
		}
		if err := s.remove(); err != nil {
			return err
		}
	}
	if len(group) > 1 {
		return durable.Dir(l.dir)
	}
	return nil
}

// replaceable reports whether the group is still what it was; the caller holds mu.
func (l *Log) replaceable(group []*segment) error {
	if err := l.check(); err != nil {
		return err
	}
	if l.holds > 0 {
		return ErrHeld
	}
	segs := l.list()
	if i := slices.Index(segs, group[0]); i < 0 || len(segs)-i <= len(group) || !slices.Equal(segs[i:i+len(group)], group) {
		return errSegmentRemoved
	}
	return nil
}

// exchange renames the files and publishes the segment; the caller holds checkpointMu and mu. Nobody
// opens the first one's files meanwhile: whoever has them open keeps them, and others look for their
// segment anew.
func (c *compactor) exchange(group []*segment, s *segment) error {
	l, slot := c.log, &group[0].files
	before := int64(0)
	for _, old := range group {
		before += old.size.Load()
	}
	slot.mu.Lock()
	var idle *handle
	err := c.rename(s, dataSuffix)
	if err == nil {
		l.swapped = true
		if err = errors.Join(c.rename(s, indexSuffix), c.rename(s, timeSuffix), c.renameAborted(s)); err != nil {
			l.failed = err // what is there does not fit together until the log is opened anew
		}
		slot.gone = errSegmentRemoved
		idle = slot.forget()
	}
	slot.mu.Unlock()
	if idle != nil {
		idle.close()
	}
	if err != nil {
		return err
	}
	segs := l.list()
	i := slices.Index(segs, group[0])
	l.publish(slices.Concat(segs[:i], []*segment{s}, segs[i+len(group):]))
	c.done.Freed += before - s.size.Load()
	return nil
}

func (c *compactor) rename(s *segment, suffix string) error {
	path := s.path(suffix)
	if err := c.step("rename " + path); err != nil {
		return err
	}
	return os.Rename(path+stagedSuffix, path)
}

// renameAborted puts the index of aborted transactions in its place, which may be that there is none.
func (c *compactor) renameAborted(s *segment) error {
	if s.aborted.n > 0 {
		return c.rename(s, abortedSuffix)
	}
	if err := os.Remove(s.path(abortedSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
