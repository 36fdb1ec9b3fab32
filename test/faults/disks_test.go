//go:build linux

package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// volume is an ext4 filesystem in a file, whose power can fail.
type volume struct {
	t     *testing.T
	image string
	Path  string
}

// newVolume makes one of so many megabytes. The test is skipped where that is not possible.
func newVolume(t *testing.T, size string) *volume {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a filesystem needs root")
	}
	dir := t.TempDir()
	v := &volume{t: t, image: filepath.Join(dir, "image"), Path: filepath.Join(dir, "mounted")}
	for _, cmd := range [][]string{{"truncate", "-s", size, v.image}, {"mkfs.ext4", "-q", v.image}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", cmd, err, out)
		}
	}
	if err := os.Mkdir(v.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", v.image, v.Path).CombinedOutput(); err != nil {
		t.Skipf("no filesystem can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(v.unmount)
	return v
}

func (v *volume) unmount() {
	v.t.Helper()
	if out, err := exec.Command("umount", v.Path).CombinedOutput(); err != nil {
		v.t.Errorf("umount %s: %v: %s", v.Path, err, out)
	}
}

// EXT4_IOC_SHUTDOWN, and its flag to leave the journal as it is on the disk.
const (
	shutdown       = 0x8004587d
	withoutJournal = 2
)

// fail takes the power: from now on nothing is written to the filesystem.
func (v *volume) fail() {
	v.t.Helper()
	f, err := os.Open(v.Path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutJournal); err != nil {
		v.t.Fatal(err)
	}
}

// restore mounts the filesystem again, with what reached it before the power failed. Nobody may
// have files open there.
func (v *volume) restore() {
	v.t.Helper()
	v.unmount()
	if out, err := exec.Command("mount", "-o", "loop", v.image, v.Path).CombinedOutput(); err != nil {
		v.t.Fatalf("mount: %v: %s", err, out)
	}
}
