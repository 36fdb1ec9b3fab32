package main

import "golang.org/x/sys/unix"

// unfit are filesystems on which a synced file may still be lost, or whose sync asks the network.
var unfit = map[uint32]string{
	unix.TMPFS_MAGIC:     "tmpfs, which a power failure empties",
	unix.RAMFS_MAGIC:     "ramfs, which a power failure empties",
	unix.NFS_SUPER_MAGIC: "NFS, whose locks and syncs are those of another machine",
	unix.SMB_SUPER_MAGIC: "SMB, whose locks and syncs are those of another machine",
}

// checkFilesystem warns of filesystems that do not keep what they were given.
func (d *doctor) checkFilesystem(st unix.Statfs_t) {
	if what, bad := unfit[uint32(st.Type)]; bad {
		d.say("disk", d.dataDir, warning, "it is on "+what, "put the data on a local disk with ext4 or xfs")
	}
}
