package stream

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ownIdentity reads who this process is from /proc.
func ownIdentity() identity {
	id := identity{unknownPart, unknownPart, strconv.Itoa(os.Getpid()), unknownPart}
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		id.boot = strings.TrimSpace(string(boot))
	}
	if namespace, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		id.namespace = strings.ReplaceAll(namespace, "/", "")
	}
	if start, _, ok := processStart(os.Getpid()); ok {
		id.start = start
	}
	return id
}

// processGone tells whether no process with this id and start time exists. A process
// that /proc hides from us (hidepid) is taken as alive.
func processGone(pid, start string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 || start == unknownPart {
		return false
	}
	if err := syscall.Kill(n, 0); errors.Is(err, syscall.ESRCH) {
		return true
	}
	now, exited, ok := processStart(n)
	return ok && (now != start || exited)
}

// processStart returns the start time of a process in clock ticks since boot, and
// whether it has exited already and only waits for its parent.
func processStart(pid int) (start string, exited, ok bool) {
	const fieldState, fieldStart = 0, 19 // counted from after the name in parentheses
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", false, false
	}
	// The name may hold spaces and parentheses itself; the last one ends it.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return "", false, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= fieldStart {
		return "", false, false
	}
	if state := fields[fieldState]; state == "Z" || state == "X" {
		// The first thread may have ended before the others.
		threads, err := os.ReadDir(filepath.Join(dir, "task"))
		exited = err == nil && len(threads) <= 1
	}
	return fields[fieldStart], exited, true
}
