//go:build !linux

package child

import "syscall"

// tieToParent has nothing to call here: outside Linux a child outlives a
// parent that was killed with -9, and only then.
func tieToParent(*syscall.SysProcAttr, syscall.Signal) {}
