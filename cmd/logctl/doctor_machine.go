//go:build unix && !solaris && !aix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/internal/durable"

	"golang.org/x/sys/unix"
)

// fewDescriptors is what a broker with many partitions soon needs.
const fewDescriptors = 8192

// checkMachine looks at the disk below --data-dir, and at this process's limits, which a broker
// that is started from here would have.
func (d *doctor) checkMachine(ctx context.Context) error {
	info, err := os.Stat(d.dataDir)
	if err != nil || !info.IsDir() {
		return usage("--data-dir %s is no directory that can be read; name the --data-dir of a broker on this machine", d.dataDir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(d.dataDir, &st); err == nil {
		block := int64(st.Bsize) //nolint:unconvert // it is narrower on other systems
		d.saySpace(d.dataDir, int64(st.Bavail)*block, int64(st.Blocks)*block)
		if percent := inodesFree(st); percent >= 0 && percent < spaceProblem {
			d.say("space", d.dataDir, problem, fmt.Sprintf("%d%% of its inodes are free", percent), "make the filesystem anew with more inodes, or have fewer partitions")
		}
	}
	d.checkFilesystem(st)
	d.checkDamaged()
	if err := d.checkDisk(ctx); err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		found := fmt.Sprintf("%d file descriptors are allowed here", limit.Cur)
		if limit.Cur < fewDescriptors {
			d.say("descriptors", "this machine", warning, found, descriptorRemedy)
		} else {
			d.say("descriptors", "this machine", fine, found, "")
		}
	}
	return ctx.Err()
}

func inodesFree(st unix.Statfs_t) int64 {
	if st.Files == 0 {
		return -1
	}
	return int64(st.Ffree) * 100 / int64(st.Files)
}

// checkDamaged finds partitions that a broker has set aside.
func (d *doctor) checkDamaged() {
	found, _ := filepath.Glob(filepath.Join(d.dataDir, "topics", "*", "*.corrupt-*"))
	if len(found) == 0 {
		d.say("damage", d.dataDir, fine, "no partition was set aside as damaged", "")
		return
	}
	d.say("damage", d.dataDir, warning, render.Plural(int64(len(found)), "partition")+" set aside as damaged: "+strings.Join(found, ", "),
		"see the disk's own log for errors; where logctl cluster health finds nothing wrong, the others have rebuilt them and the directories may be deleted")
}

// Syncs that take longer than this are worth a word, or a problem: every acknowledged write waits
// for one.
const (
	syncWarning = 10 * time.Millisecond
	syncProblem = 100 * time.Millisecond
	diskWrites  = 40
	diskBlock   = 4096 // bytes
)

// checkDisk measures what the disk takes to have a few bytes for good: of one file (fdatasync), and
// of several files together (syncfs), as brokers do.
func (d *doctor) checkDisk(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(d.dataDir, ".logctl-doctor-*")
	if err != nil {
		d.say("disk", d.dataDir, problem, "nothing can be written there: "+cause(err), "run it as the user that the broker has, or see to the directory's owner and mode")
		return nil
	}
	defer os.RemoveAll(dir)
	var files []*os.File
	for i := range 8 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			d.say("disk", d.dataDir, problem, "nothing can be written there: "+cause(err), "see to the directory's owner and mode")
			return nil
		}
		defer f.Close()
		files = append(files, f)
	}
	one, err := measureSync(ctx, files[:1], func() error { return durable.File(files[0]) })
	if err == nil {
		d.saySync("fdatasync", one, d.dataDir)
		if durable.HasTogether {
			var many time.Duration
			if many, err = measureSync(ctx, files, func() error { return durable.Together(files, nil) }); err == nil {
				d.saySync("syncfs of 8 files", many, d.dataDir)
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		d.say("disk", d.dataDir, problem, "it cannot be synced: "+cause(err), "look into the kernel's log for errors of the disk, and replace it")
	}
	return ctx.Err()
}

// measureSync is the median of how long sync takes after a block was written to each file.
func measureSync(ctx context.Context, files []*os.File, sync func() error) (time.Duration, error) {
	block := make([]byte, diskBlock)
	var took []time.Duration
	for i := range diskWrites {
		for _, f := range files {
			if _, err := f.WriteAt(block, int64(i)*diskBlock); err != nil {
				return 0, err
			}
		}
		begun := time.Now()
		if err := errors.Join(sync(), ctx.Err()); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func (d *doctor) saySync(what string, median time.Duration, dir string) {
	found := fmt.Sprintf("%s of %s takes %v (median of %d)", what, render.Bytes(diskBlock), median.Round(time.Microsecond), diskWrites)
	remedy := "put the data on a local SSD or NVMe, away from other writers; every acknowledged write waits for such a sync"
	switch {
	case median >= syncProblem:
		d.say("disk", dir, problem, found, remedy)
	case median >= syncWarning:
		d.say("disk", dir, warning, found, remedy)
	default:
		d.say("disk", dir, fine, found, "")
	}
}

// cause is an error of the filesystem without the name that it begins with.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
