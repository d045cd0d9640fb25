//go:build linux || darwin

package doctor

import "syscall"

// diskFree is what an ordinary user may still write where a directory lies, and what there
// is in all, in bytes.
func diskFree(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	block := uint64(s.Bsize) // its type differs between systems
	return s.Bavail * block, s.Blocks * block, nil
}
