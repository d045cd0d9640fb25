package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// row compares one kind of work with its baseline; the figures are medians of rounds.
type row struct {
	work           string
	goal           string
	kikuai, bare   sample
	ratio, ratio99 float64
}

const chatBody = `{"model":"` + model + `","max_tokens":64,"messages":[` +
	`{"role":"system","content":"You are a helpful assistant."},` +
	`{"role":"user","content":"How do I read a file line by line in Go? Please show a short example."}]}`

func (s *site) measure(ctx context.Context, rounds int, length time.Duration, connections int, profiles string) ([]row, error) {
	var updates atomic.Int64
	updates.Store(time.Now().Unix())
	fixed := func(int, int) []byte { return []byte(chatBody) }
	fresh := func(int, int) []byte { return update(updates.Add(1)) }
	pairs := []struct {
		row          row
		kikuai, bare load
	}{
		{
			row:    row{work: "paid, non-streamed completion", goal: "≥ 0.6, p99 ≤ 2×"},
			kikuai: load{name: "kikuai completion", url: s.kikuai + "/v1/chat/completions", headers: map[string]string{"Authorization": "Bearer " + s.key}, body: fixed},
			bare:   load{name: "bare, two Redis calls and upstream", url: s.bare + "/two", body: fixed},
		},
		{
			row:    row{work: "webhook acknowledgement", goal: "≥ 0.6"},
			kikuai: load{name: "kikuai webhook", url: s.kikuai + "/webhook", headers: map[string]string{"X-Telegram-Bot-Api-Secret-Token": webhookSecret}, body: fresh},
			bare:   load{name: "bare, one Redis call", url: s.bare + "/one", body: fresh},
		},
	}
	rows := make([]row, 0, len(pairs))
	for _, pair := range pairs {
		for _, warm := range []load{pair.bare, pair.kikuai} {
			if _, err := drive(ctx, warm, connections, time.Second); err != nil {
				return nil, err
			}
		}
		var ours, theirs []sample
		for range rounds {
			bare, err := drive(ctx, pair.bare, connections, length)
			if err != nil {
				return nil, err
			}
			kikuai, err := drive(ctx, pair.kikuai, connections, length)
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
		rows = append(rows, compare(pair.row, ours, theirs))
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

// table is the rows in print.
func table(rows []row, rounds int, length time.Duration, connections int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| work | kikuai | bare handler | ratio | p99 kikuai | p99 bare | ratio | goal |\n|---|--:|--:|--:|--:|--:|--:|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %.0f/s | %.0f/s | **%.2f** | %s | %s | %.1f× | %s |\n", r.work,
			r.kikuai.perSecond, r.bare.perSecond, r.ratio,
			r.kikuai.p99.Round(100*time.Microsecond), r.bare.p99.Round(100*time.Microsecond), r.ratio99, r.goal)
	}
	fmt.Fprintf(&b, "\nMedians of %d rounds of %s in turn, %d connections, %s", rounds, length, connections, machine())
	return b.String()
}

// profile writes a CPU profile of kikuai under the load, in a run of its own.
func (s *site) profile(ctx context.Context, l load, connections int, dir string) error {
	const length = 5 * time.Second
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	driven := make(chan error, 1)
	go func() {
		_, err := drive(ctx, l, connections, length+time.Second)
		driven <- err
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.ops, int(length.Seconds())), http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return errors.Join(err, <-driven)
	}
	defer func() { _ = response.Body.Close() }()
	profile, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(l.name, " ", "-")+".pprof"), profile, 0o600); err != nil {
		return err
	}
	return <-driven
}
