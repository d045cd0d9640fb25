//go:build unix

package llm

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quiet says whether a connection stands and there is nothing to read from it. It does
// not wait.
func quiet(conn net.Conn) bool {
	owner, is := conn.(syscall.Conn)
	if !is {
		return true
	}
	raw, err := owner.SyscallConn()
	if err != nil {
		return false
	}
	calm := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		calm = errors.Is(err, unix.EAGAIN)
	})
	return err == nil && calm
}
