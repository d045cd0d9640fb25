package gateway

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// peer asks the system about the other end of a connection. Polling tells of a FIN even
// behind bytes that nobody has read, such as a second request, which peeking at what
// there is to read does not; and it leaves a pending error to the next write.
type peer struct {
	conn syscall.RawConn
	fds  [1]unix.PollFd
	ask  func(fd uintptr)
	err  error // of the last asking
}

func newPeer(conn syscall.RawConn) *peer {
	p := &peer{conn: conn}
	p.ask = func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
		_, p.err = unix.Poll(p.fds[:], 0)
	}
	return p
}

// condition says how the connection is. It is for one goroutine.
func (p *peer) condition() condition {
	if p.conn.Control(p.ask) != nil { // closed on this side
		return severed
	}
	switch events := p.fds[0].Revents; {
	case p.err != nil: // interrupted: the next look will tell
		return connected
	case events&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
		return severed
	case events&unix.POLLRDHUP != 0:
		return halfClosed
	}
	return connected
}
