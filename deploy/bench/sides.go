package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// triesMost is how often a trial is repeated that a busy machine has spoilt.
const triesMost = 3

// side is one of several servers that are given the same work.
type side struct {
	name    string
	load    load
	parties parties
	trials  []trial
}

// inTurn measures the sides one after the other, round by round: what else the machine
// does meets them alike. The first round opens the connections and is not counted.
func inTurn(ctx context.Context, sides []side, rounds int, length time.Duration, connections int) error {
	for round := range rounds + 1 {
		for i := range sides {
			lasting := length
			if round == 0 {
				lasting = time.Second
			}
			t, err := try(ctx, sides[i].load, sides[i].parties, connections, lasting)
			for again := 0; err != nil && again < triesMost && ctx.Err() == nil; again++ {
				fmt.Fprintln(os.Stderr, "bench: once more:", err)
				t, err = try(ctx, sides[i].load, sides[i].parties, connections, lasting)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
			if round > 0 {
				sides[i].trials = append(sides[i].trials, t)
			}
		}
	}
	return ctx.Err()
}

// sidesHead is the head of a table of sides.
func sidesHead() string {
	return fmt.Sprintf("| work | | requests/s | of bare | p50 | p99 | of bare | %s | all |\n|---|---|--:|--:|--:|--:|--:|%s--:|\n",
		strings.Join(partyNames, " | "), strings.Repeat("--:|", len(partyNames)))
}

// sideRows are the rows of the sides, compared with the first of them.
func sideRows(work string, sides []side) string {
	var b strings.Builder
	for _, s := range sides {
		rate := middle(s.trials, func(i int) float64 { return s.trials[i].perSecond })
		ofBare := middle(s.trials, func(i int) float64 { return s.trials[i].perSecond / sides[0].trials[i].perSecond })
		tail := middle(s.trials, func(i int) float64 { return float64(s.trials[i].p99) / float64(sides[0].trials[i].p99) })
		fmt.Fprintf(&b, "| %s | %s | %.0f | **%.3f** | %s | %s | %.2f× |", work, s.name, rate, ofBare,
			fine(middle(s.trials, func(i int) time.Duration { return s.trials[i].p50 })),
			fine(middle(s.trials, func(i int) time.Duration { return s.trials[i].p99 })), tail)
		b.WriteString(spent(usedOf(s.trials)))
		b.WriteString("\n")
	}
	return b.String()
}

// sidesFoot says how they were measured.
func sidesFoot(rounds int, length time.Duration, connections int) string {
	return fmt.Sprintf("\nMedians of %d rounds of %s in turn, %d connections; processor time per request, in µs. %s", rounds, length, connections, machine())
}
