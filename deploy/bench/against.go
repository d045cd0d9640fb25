package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// trial is one measurement with the processor time that each party had per request.
type trial struct {
	sample
	used map[string]time.Duration
}

// try drives a load and attributes the processor time that it took.
func try(ctx context.Context, l load, p parties, connections int, length time.Duration) (trial, error) {
	before, err := p.processor()
	if err != nil {
		return trial{}, err
	}
	began := time.Now()
	s, err := drive(ctx, l, connections, 0, length)
	if err != nil {
		return trial{}, err
	}
	requests := s.perSecond * time.Since(began).Seconds()
	after, err := p.processor()
	if err != nil {
		return trial{}, err
	}
	t := trial{s, map[string]time.Duration{}}
	for name, at := range after {
		t.used[name] = time.Duration(float64(at-before[name]) / requests)
	}
	return t, nil
}

// ours are the parties of kikuai's work, theirs those of the bare handler's.
func (s *site) ours() parties {
	return parties{
		nameClient: {PID: os.Getpid()}, nameHandler: {PID: s.kikuaiPID}, nameRedis: {PID: s.redisPID},
		nameUpstream: {PID: s.upstreamPID}, namePostgres: {PID: s.postgres, Children: true},
	}
}

func (s *site) theirs() parties {
	return parties{
		nameClient: {PID: os.Getpid()}, nameHandler: {PID: s.barePID}, nameRedis: {PID: s.bareRedisPID}, nameUpstream: {PID: s.upstreamPID},
	}
}

// measureAgainst compares this tree's kikuai, or another, with one that was built before, and both
// with the bare handler, in one run and in turn: what else the machine does meets them
// alike. Processor time per request says what a change is worth even where that is much.
func measureAgainst(ctx context.Context, binary, other, only string, rounds int, length time.Duration, connections int) (string, error) {
	before, err := build(ctx, binary)
	if err != nil {
		return "", err
	}
	defer before.close()
	after, err := build(ctx, other)
	if err != nil {
		return "", err
	}
	defer after.close()
	var b strings.Builder
	b.WriteString(sidesHead())
	old := before.pairs()
	for i, pair := range after.pairs() {
		if !strings.Contains(pair.row.work, only) {
			continue
		}
		sides := []side{
			{name: "bare", load: pair.bare, parties: after.theirs()},
			{name: "before", load: old[i].kikuai, parties: before.ours()},
			{name: "after", load: pair.kikuai, parties: after.ours()},
		}
		if err := inTurn(ctx, sides, rounds, length, connections); err != nil {
			return "", err
		}
		b.WriteString(sideRows(pair.row.work, sides))
	}
	b.WriteString(sidesFoot(rounds, length, connections))
	return b.String(), nil
}

// usedOf is the processor time that each party had per request: the median of trials.
func usedOf(trials []trial) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name := range trials[0].used {
		used[name] = middle(trials, func(i int) time.Duration { return trials[i].used[name] })
	}
	return used
}

// spent are the cells that say so, in µs, with the sum.
func spent(used map[string]time.Duration) string {
	var b strings.Builder
	total := time.Duration(0)
	for _, name := range partyNames {
		if of, is := used[name]; is {
			total += of
			fmt.Fprintf(&b, " %.1f |", float64(of)/float64(time.Microsecond))
		} else {
			b.WriteString(" |")
		}
	}
	fmt.Fprintf(&b, " **%.1f** |", float64(total)/float64(time.Microsecond))
	return b.String()
}

// middle is the median of what of says of each trial.
func middle[T float64 | time.Duration](trials []trial, of func(i int) T) T {
	values := make([]T, len(trials))
	for i := range trials {
		values[i] = of(i)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
