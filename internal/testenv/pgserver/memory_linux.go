package pgserver

import "syscall"

const (
	sharedMemory = "/dev/shm"
	tmpfsMagic   = 0x01021994 // statfs(2)
	memoryLeast  = 4 << 30    // bytes that must be free
)

// TemporaryParent is where temporary servers lie: in memory where there is room. A database
// is a thousand files, and making and removing them by the hundred is most of what tests
// would ask of a disk.
func TemporaryParent(otherwise string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(sharedMemory, &fs) != nil || fs.Type != tmpfsMagic || fs.Bavail*uint64(fs.Bsize) < memoryLeast {
		return otherwise
	}
	return sharedMemory
}
