package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// waiting is how many connections to a listener were made and are not accepted; 0: it does
// not tell. Of a socket that listens the system tells it in the place of segments on their
// way.
func waiting(l net.Listener) (n uint32) {
	owner, is := l.(syscall.Conn)
	if !is {
		return 0
	}
	raw, err := owner.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Unacked
		}
	})
	if err != nil {
		return 0
	}
	return n
}
