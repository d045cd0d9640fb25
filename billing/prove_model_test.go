//go:build prove

package billing

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestProveModel: ten thousand random sequences of up to 200 operations each leave
// Redis, Postgres and a model in plain numbers in agreement, after every single one.
func TestProveModel(t *testing.T) {
	const (
		lines     = 2   // side by side, each on stores of its own
		rounds    = 50  // of a line, one after another on fresh stores: what is there grows with every sequence
		sequences = 100 // of a round
		longest   = 200
	)
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if err := checks.Value.Set(fmt.Sprint(sequences)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(before) })
	began := time.Now()
	var ran, operations atomic.Int64
	t.Run("lines", func(t *testing.T) {
		for line := range lines {
			t.Run(fmt.Sprint(line), func(t *testing.T) {
				t.Parallel()
				for round := range rounds {
					t.Run(fmt.Sprint(round), func(t *testing.T) { modelSequences(t, longest, &ran, &operations) })
				}
			})
		}
	})
	if want := int64(lines * rounds * sequences); ran.Load() != want {
		t.Errorf("%d of %d sequences", ran.Load(), want)
	}
	t.Logf("model: %d sequences of up to %d operations, %d in all, drift 0 after each of them, in %s",
		ran.Load(), longest, operations.Load(), time.Since(began).Round(time.Second))
}

func modelSequences(t *testing.T, longest int, ran, operations *atomic.Int64) {
	r := newRig(t, testenv.Redis(t))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := newMachine(t, r, run)
		actions := m.actions()
		names := slices.Sorted(maps.Keys(actions))
		// A sequence of any length is as likely as any other: by itself the library
		// prefers short ones.
		length := rapid.SampledFrom(upTo(longest)).Draw(t, "length")
		m.check(t)
		for range length {
			actions[rapid.SampledFrom(names).Draw(t, "operation")](t)
			m.check(t)
		}
		m.finish(t)
		ran.Add(1)
		operations.Add(int64(length))
	})
	r.ledgerAgrees(t)
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return list
}
