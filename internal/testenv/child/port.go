package child

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	// Ports come from below the systems' ephemeral ranges (32768 on Linux):
	// a client that keeps dialling a stopped server would otherwise sooner or
	// later be given the very port as its source, connect to itself, and keep
	// the server from coming back.
	firstPort, lastPort = 20000, 32000
	portTries           = 64
)

// FreePort returns a TCP port on 127.0.0.1 that nothing listens on. Another
// process may take it before the caller does; callers try again then.
func FreePort() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1 between %d and %d after %d tries", firstPort, lastPort, portTries)
}
