package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// heapProfile has what was allocated until the collection of garbage that it begins with.
const heapProfile = "/debug/pprof/heap?gc=1"

// allocatorsMost is how many functions the list of who allocates most names.
const allocatorsMost = 12

// heap is what a Go program has allocated since it began, by its own metrics.
type heap struct {
	objects, bytes float64
}

// measureAllocations says what memory kikuai allocates for a request of each kind, and which
// functions do so for a paid one.
func measureAllocations(ctx context.Context, _ int, length time.Duration, connections int) (string, error) {
	site, err := build(ctx, "")
	if err != nil {
		return "", err
	}
	defer site.close()
	dir, err := os.MkdirTemp("", "kikuai-bench-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var b strings.Builder
	b.WriteString("| work | objects a request | bytes a request |\n|---|--:|--:|\n")
	paid := "" // who allocates for it
	for n, pair := range site.pairs() {
		if _, err := drive(ctx, pair.kikuai, connections, 0, time.Second); err != nil {
			return "", err
		}
		profiles := [2]string{filepath.Join(dir, "before"), filepath.Join(dir, "after")}
		if err := site.fetch(ctx, heapProfile, profiles[0]); err != nil {
			return "", err
		}
		used, err := site.allocated(ctx, pair.kikuai, connections, length)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f |\n", pair.row.work, used.objects, used.bytes)
		if n > 0 {
			continue
		}
		if err := site.fetch(ctx, heapProfile, profiles[1]); err != nil {
			return "", err
		}
		if paid, err = allocators(ctx, profiles, used); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(&b, "\nOf the first, by the function that asks for the memory:\n\n%s", paid)
	fmt.Fprintf(&b, "\nOver %s each, what serve does in the background among it (ledger, jobs, metrics). %s", length, machine())
	return b.String(), nil
}

// allocated drives the load and returns what kikuai allocated meanwhile, per request.
func (s *site) allocated(ctx context.Context, l load, connections int, length time.Duration) (heap, error) {
	before, err := s.heap(ctx)
	if err != nil {
		return heap{}, err
	}
	sample, err := drive(ctx, l, connections, 0, length)
	if err != nil {
		return heap{}, err
	}
	after, err := s.heap(ctx)
	requests := sample.perSecond * length.Seconds()
	return heap{(after.objects - before.objects) / requests, (after.bytes - before.bytes) / requests}, err
}

// heap reads kikuai's metrics.
func (s *site) heap(ctx context.Context) (heap, error) {
	text, err := s.ask(ctx, "/metrics")
	if err != nil {
		return heap{}, err
	}
	var h heap
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "go_memstats_mallocs_total":
			h.objects, err = strconv.ParseFloat(value, 64)
		case "go_memstats_alloc_bytes_total":
			h.bytes, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return heap{}, err
		}
	}
	if h.objects == 0 || h.bytes == 0 {
		return heap{}, errors.New("kikuai's metrics do not say what it allocated")
	}
	return h, nil
}

// fetch keeps what the operators' listener answers in a file.
func (s *site) fetch(ctx context.Context, path, file string) error {
	text, err := s.ask(ctx, path)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// ask asks the operators' listener.
func (s *site) ask(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ops+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", path, response.StatusCode)
	}
	return io.ReadAll(response.Body)
}

// allocators are the functions that allocated most between two profiles, each with its
// share of the bytes that a request takes. A profile is of samples, one for each 512 KiB.
func allocators(ctx context.Context, profiles [2]string, used heap) (string, error) {
	command := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-sample_index=alloc_space",
		"-nodecount="+strconv.Itoa(allocatorsMost), "-base="+profiles[0], profiles[1])
	var faults bytes.Buffer
	command.Stderr = &faults
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w: %s", err, faults.Bytes())
	}
	var b strings.Builder
	b.WriteString("| function | share | bytes a request |\n|---|--:|--:|\n")
	rows := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		// flat, flat%, sum%, cum, cum%, and the name, which may have spaces
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		share, err := strconv.ParseFloat(strings.TrimSuffix(fields[1], "%"), 64)
		if err != nil || !strings.HasSuffix(fields[1], "%") {
			continue
		}
		rows++
		fmt.Fprintf(&b, "| `%s` | %.1f %% | %.0f |\n", strings.TrimSuffix(strings.Join(fields[5:], " "), " (inline)"), share, used.bytes*share/100)
	}
	if rows == 0 {
		return "", fmt.Errorf("go tool pprof named no function: %s", text)
	}
	return b.String(), nil
}
