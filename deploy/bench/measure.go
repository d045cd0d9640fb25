package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/processes"
)

// row compares one kind of work with its baseline; the figures are medians of rounds.
type row struct {
	work           string
	goal           string
	kikuai, bare   sample
	ratio, ratio99 float64
	used, bareUsed map[string]time.Duration // processor time per request
}

const chatBody = `{"model":"` + model + `","max_tokens":64,"messages":[` +
	`{"role":"system","content":"You are a helpful assistant."},` +
	`{"role":"user","content":"How do I read a file line by line in Go? Please show a short example."}]}`

const (
	longPrompt  = 100 << 10 // bytes
	webhookRate = 5000      // updates a second
)

// comparison is a kind of work with its baseline.
type comparison struct {
	row          row
	kikuai, bare load
}

// pairs are what clients of a server ask for.
func (s *site) pairs() []comparison {
	fixed := func(int, int) []byte { return []byte(chatBody) }
	long := strings.Replace(chatBody, "How do", strings.Repeat("All work and no play makes a dull test. ", longPrompt/40)+"How do", 1)
	longBody := func(int, int) []byte { return []byte(long) }
	fresh := func(int, int) []byte { return update(s.updates.Add(1)) }
	one := []string{s.key}
	return []comparison{
		{
			row:    row{work: "paid, non-streamed completion", goal: "≥ 0.6, p99 ≤ 2×"},
			kikuai: load{name: "kikuai completion", url: s.kikuai + "/v1/chat/completions", bearers: one, body: fixed},
			bare:   load{name: "bare, two Redis calls and upstream", url: s.bare + "/two", body: fixed},
		},
		{
			row:    row{work: "the same, each connection with a key and an account of its own"},
			kikuai: load{name: "kikuai completions of many", url: s.kikuai + "/v1/chat/completions", bearers: s.keys, body: fixed},
			bare:   load{name: "bare, two Redis calls and upstream", url: s.bare + "/two", body: fixed},
		},
		{
			row:    row{work: "paid, with a prompt of 100 KB"},
			kikuai: load{name: "kikuai long prompt", url: s.kikuai + "/v1/chat/completions", bearers: one, body: longBody},
			bare:   load{name: "bare, two Redis calls and upstream", url: s.bare + "/two", body: longBody},
		},
		{
			row:    row{work: "balance", goal: "≥ 0.6"},
			kikuai: load{name: "kikuai balance", url: s.kikuai + "/api/v1/balance", bearers: one},
			bare:   load{name: "bare, one Redis call", url: s.bare + "/one", body: func(int, int) []byte { return nil }},
		},
		{
			row:    row{work: "balance, each connection with a key and an account of its own"},
			kikuai: load{name: "kikuai balances of many", url: s.kikuai + "/api/v1/balance", bearers: s.keys},
			bare:   load{name: "bare, one Redis call", url: s.bare + "/one", body: func(int, int) []byte { return nil }},
		},
		{
			row:    row{work: "webhook acknowledgement", goal: "≥ 0.6"},
			kikuai: load{name: "kikuai webhook", url: s.kikuai + "/webhook", headers: map[string]string{"X-Telegram-Bot-Api-Secret-Token": webhookSecret}, body: fresh},
			bare:   load{name: "bare, one Redis call", url: s.bare + "/one", body: fresh},
		},
	}
}

func (s *site) measure(ctx context.Context, rounds int, length time.Duration, connections int, profiles string) ([]row, error) {
	pairs := s.pairs()
	rows := make([]row, 0, len(pairs))
	for _, pair := range pairs {
		for _, warm := range []load{pair.bare, pair.kikuai} {
			if _, err := drive(ctx, warm, connections, 0, time.Second); err != nil {
				return nil, err
			}
		}
		var ours, theirs []trial
		for range rounds {
			bare, err := try(ctx, pair.bare, s.theirs(), connections, length)
			if err != nil {
				return nil, err
			}
			kikuai, err := try(ctx, pair.kikuai, s.ours(), connections, length)
			if err != nil {
				return nil, err
			}
			theirs, ours = append(theirs, bare), append(ours, kikuai)
		}
		if profiles != "" {
			if err := s.profile(ctx, pair.kikuai, connections, profiles); err != nil {
				return nil, err
			}
		}
		r := compare(pair.row, samplesOf(ours), samplesOf(theirs))
		r.used, r.bareUsed = usedOf(ours), usedOf(theirs)
		rows = append(rows, r)
	}
	return rows, ctx.Err()
}

// compare takes the median of each figure, and of the ratios pair by pair: a machine
// whose speed drifts moves both halves of a pair.
func compare(r row, ours, theirs []sample) row {
	ratios := make([]float64, len(ours))
	tails := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i].perSecond / theirs[i].perSecond
		tails[i] = float64(ours[i].p99) / float64(theirs[i].p99)
	}
	r.kikuai, r.bare = medianSample(ours), medianSample(theirs)
	r.ratio, r.ratio99 = median(ratios), median(tails)
	return r
}

func samplesOf(trials []trial) []sample {
	samples := make([]sample, len(trials))
	for i := range trials {
		samples[i] = trials[i].sample
	}
	return samples
}

func medianSample(samples []sample) sample {
	var rates []float64
	var p50s, p99s []time.Duration
	for _, s := range samples {
		rates, p50s, p99s = append(rates, s.perSecond), append(p50s, s.p50), append(p99s, s.p99)
	}
	return sample{perSecond: median(rates), p50: median(p50s), p99: median(p99s)}
}

func median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// steady drives the webhook at a rate below what it can take, and then says how much memory
// kikuai has after all loads.
func (s *site) steady(ctx context.Context, rounds int, length time.Duration, connections int) (string, error) {
	pairs := s.pairs()
	webhook := pairs[len(pairs)-1].kikuai
	var samples []sample
	for range rounds {
		taken, err := drive(ctx, webhook, connections, webhookRate, length)
		if err != nil {
			return "", err
		}
		samples = append(samples, taken)
	}
	memory, err := processes.Resident(s.kikuaiPID)
	if err != nil {
		return "", err
	}
	m := medianSample(samples)
	return fmt.Sprintf("\nWebhook at %d updates a second, each timed from when it was due: p50 %s, **p99 %s**, goal < 10 ms. Resident memory of serve after all of this: **%d MB**, goal %s.\n",
		webhookRate, fine(m.p50), fine(m.p99), memory>>20, goalMemory), nil
}

// table is the rows in print.
func table(rows []row, rounds int, length time.Duration, connections int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| work | kikuai | bare handler | ratio | p99 kikuai | p99 bare | ratio | goal |\n|---|--:|--:|--:|--:|--:|--:|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %.0f/s | %.0f/s | **%.2f** | %s | %s | %.1f× | %s |\n", r.work,
			r.kikuai.perSecond, r.bare.perSecond, r.ratio,
			r.kikuai.p99.Round(100*time.Microsecond), r.bare.p99.Round(100*time.Microsecond), r.ratio99, r.goal)
	}
	fmt.Fprintf(&b, "\nMedians of %d rounds of %s in turn, %d connections, %s\n", rounds, length, connections, machine())
	fmt.Fprintf(&b, "\n| processor time per request, µs | | %s | all |\n|---|---|%s--:|\n", strings.Join(partyNames, " | "), strings.Repeat("--:|", len(partyNames)))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | kikuai |%s\n", r.work, spent(r.used))
		fmt.Fprintf(&b, "| | bare |%s\n", spent(r.bareUsed))
	}
	return b.String()
}

// profile writes a CPU profile of kikuai under the load, in a run of its own.
func (s *site) profile(ctx context.Context, l load, connections int, dir string) error {
	const length = 5 * time.Second
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	driven := make(chan error, 1)
	go func() {
		_, err := drive(ctx, l, connections, 0, length+time.Second)
		driven <- err
	}()
	path := fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(length.Seconds()))
	if err := s.fetch(ctx, path, filepath.Join(dir, strings.ReplaceAll(l.name, " ", "-")+".pprof")); err != nil {
		cancel()
		return errors.Join(err, <-driven)
	}
	return <-driven
}
