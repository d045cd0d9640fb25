// Package processes says how much processor time and memory servers have had, as the
// system's /proc tells it.
package processes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc, fixed by the system's interface.
const clockTick = 10 * time.Millisecond

// Group is a process, or one with its children, such as Postgres' backends.
type Group struct {
	PID      int
	Children bool
}

// Processor is the processor time of the group, in user mode and in the kernel: of
// children that have ended, too.
func (g Group) Processor() (time.Duration, error) {
	own, err := statOf(g.PID)
	if err != nil || !g.Children {
		return own.used, err
	}
	total := own.used + own.reaped
	others, err := childrenOf(g.PID)
	for _, child := range others {
		total += child.used
	}
	return total, err
}

// Memory is what the group has of the machine's memory, in bytes. What processes share is
// divided between them.
func (g Group) Memory() (int64, error) {
	total, err := memoryOf(g.PID)
	if err != nil || !g.Children {
		return total, err
	}
	others, err := childrenOf(g.PID)
	for pid := range others {
		if share, err := memoryOf(pid); err == nil { // else it has ended meanwhile
			total += share
		}
	}
	return total, err
}

// stat is what we read of a process.
type stat struct {
	parent       int
	used, reaped time.Duration // by itself; by children that ended and were waited for
}

// childrenOf are the living children of a process, by their ids.
func childrenOf(parent int) (map[int]stat, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int]stat{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := statOf(pid); err == nil && s.parent == parent { // others end meanwhile
			children[pid] = s
		}
	}
	return children, nil
}

func statOf(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

func parseStat(text string) (stat, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // a name may hold anything
	if len(fields) < 15 {
		return stat{}, errors.New("the system does not tell how much processor time a process has had")
	}
	var numbers [5]int64
	for i, field := range append(fields[1:2:2], fields[11:15]...) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, err
		}
		numbers[i] = n
	}
	return stat{
		parent: int(numbers[0]),
		used:   time.Duration(numbers[1]+numbers[2]) * clockTick,
		reaped: time.Duration(numbers[3]+numbers[4]) * clockTick,
	}, nil
}

func memoryOf(pid int) (int64, error) { return kibibytes(pid, "smaps_rollup", "Pss:") }

// Resident is what a process has of the machine's memory, in bytes; what it shares with
// others counts whole.
func Resident(pid int) (int64, error) { return kibibytes(pid, "status", "VmRSS:") }

// kibibytes reads a line of one of a process' files, in bytes.
func kibibytes(pid int, file, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, name); is {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("the system does not tell how much memory a process has")
}
