package child

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const (
	// Ports come from below the systems' ephemeral ranges (32768 on Linux):
	// a client that keeps dialling a stopped server would otherwise sooner or
	// later be given the very port as its source, connect to itself, and keep
	// the server from coming back.
	firstPort, lastPort = 20000, 32000
	portTries           = 64
	startTries          = 5
)

// ErrPortTaken says that a server ended at its start because another process
// has its port.
var ErrPortTaken = errors.New("port taken by another process")

// given are the UDP ports of the numbers that FreePort has returned. They are bound as long
// as this process lives, so that no other one is given a number whose server is stopped, or
// has not begun to listen.
var given struct {
	mu    sync.Mutex
	ports []net.PacketConn
}

// FreePort returns a TCP port on 127.0.0.1 that nothing listens on, and that no other call
// returns, in whichever process. One that looks for its ports by itself may take it before
// the caller does; callers try again then.
func FreePort() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		taken, err := net.ListenPacket("udp", address(port))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			_ = taken.Close()
			continue
		}
		given.mu.Lock()
		given.ports = append(given.ports, taken)
		given.mu.Unlock()
		if err := l.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1 between %d and %d after %d tries", firstPort, lastPort, portTries)
}

// FreeAddress is FreePort as host:port.
func FreeAddress() (string, error) {
	port, err := FreePort()
	return address(port), err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// OnFreePorts has launch start a server on so many free ports, which differ,
// and gives it others while it returns ErrPortTaken.
func OnFreePorts(n int, launch func(ports []int) error) error {
	return Again(func() error {
		var ports []int
		for len(ports) < n {
			port, err := FreePort()
			if err != nil {
				return err
			}
			ports = append(ports, port)
		}
		return launch(ports)
	})
}

// Again repeats launch, a few times, while it returns ErrPortTaken: who looks
// for a free port has each one that it tries for a moment.
func Again(launch func() error) error {
	var err error
	for range startTries {
		if err = launch(); !errors.Is(err, ErrPortTaken) {
			return err
		}
	}
	return err
}
