package child

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestFreePort: a port that was given is not given again, here or to another process, whether
// or not anything listens on it.
func TestFreePort(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Fatalf("%d is given twice", port)
		}
		seen[port] = true
		if other, err := net.ListenPacket("udp", address(port)); err == nil {
			t.Errorf("%d is free for another process", port)
			_ = other.Close()
		}
	}
}

// TestOnFreePorts: a server whose port was taken is started on others, a few times; one
// that fails otherwise is not.
func TestOnFreePorts(t *testing.T) {
	failure := errors.New("does not start")
	for name, row := range map[string]struct {
		answers []error
		tries   int
		want    error
	}{
		"at once":    {[]error{nil}, 1, nil},
		"taken":      {[]error{ErrPortTaken, ErrPortTaken, nil}, 3, nil},
		"otherwise":  {[]error{ErrPortTaken, failure}, 2, failure},
		"each taken": {[]error{ErrPortTaken, ErrPortTaken, ErrPortTaken, ErrPortTaken, ErrPortTaken, nil}, startTries, ErrPortTaken},
	} {
		tries := 0
		err := OnFreePorts(2, func(ports []int) error {
			if len(ports) != 2 || ports[0] == ports[1] {
				t.Errorf("%s: given %v", name, ports)
			}
			tries++
			return row.answers[tries-1]
		})
		if !errors.Is(err, row.want) || tries != row.tries {
			t.Errorf("%s: %v after %d tries", name, err, tries)
		}
	}
}

// TestAwaitTellsTakenPorts: what a server says at its end tells a taken port from another
// failure.
func TestAwaitTellsTakenPorts(t *testing.T) {
	for said, taken := range map[string]bool{"bind: Address already in use": true, "listen: address already in use": true, "no room": false} {
		process, err := Start(exec.Command("sh", "-c", `echo "$0"; exit 1`, said), syscall.SIGKILL)
		if err != nil {
			t.Fatal(err)
		}
		err = process.Await(t.Context(), time.Millisecond, func(context.Context) bool { return false })
		if !errors.Is(err, ErrEnded) || errors.Is(err, ErrPortTaken) != taken {
			t.Errorf("%q: %v", said, err)
		}
	}
}
