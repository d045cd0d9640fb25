//go:build failpoint

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// armed reads which mark kills, and how often it is passed unharmed before.
var armed = sync.OnceValue(func() *arm {
	name, count, _ := strings.Cut(os.Getenv("KIKUAI_FAILPOINT"), ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	a := &arm{name: name}
	a.left.Store(n)
	return a
})

type arm struct {
	name string
	left atomic.Int64
}

// Here marks a place, and ends the process there if it is the one that was named.
func Here(name string) {
	a := armed()
	if a.name != name || a.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
