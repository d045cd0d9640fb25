package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/processes"
)

const (
	usageAsked  = 40 // times that each question is measured
	usageWarm   = 3  // times that it is asked before
	usageGoal   = 200 * time.Millisecond
	usageWithin = time.Minute // one question
	callsLeast  = 1000
	callsMost   = 10_000_000
)

// question is what is asked of the account API.
type question struct {
	name  string
	path  string
	query string // for /graphql; "": a GET
	first bool   // the time is that of the first byte, and the rest is left
}

// usage measures what an account with many calls waits for, and reports it.
func usage(ctx context.Context, calls int, out string) error {
	if calls < callsLeast || calls > callsMost {
		return fmt.Errorf("calls must be %d–%d", callsLeast, callsMost)
	}
	s, err := build(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	took, err := s.fill(ctx, calls)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: the ledger has %d calls after %s\n", calls, took.Round(time.Second))
	questions, err := s.questions(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| asked of an account with %d calls in %d days | answer | p50 | p95 | goal |\n|---|--:|--:|--:|---|\n", calls, fillDays)
	for _, q := range questions {
		row, err := s.askOften(ctx, q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		b.WriteString(row)
	}
	whole, err := s.exportWhole(ctx, calls)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n%s\n\nOne request at a time, each %d times. `admin reconcile`: %s. The calls were posted by the ledger itself, from the stream, in %s. %s\n",
		whole, usageAsked, s.reconciled(ctx), took.Round(time.Second), machine())
	return report(out, "Usage", b.String())
}

// fill gives the key's account its calls.
func (s *site) fill(ctx context.Context, calls int) (time.Duration, error) {
	options, err := redis.ParseURL(s.redisURL)
	if err != nil {
		return 0, err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	pool, err := pgxpool.New(ctx, s.databaseURL)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	f := &fill{redis: client, pool: pool, calls: calls, keys: []int64{0}}
	var balance struct {
		AccountID int64 `json:"account_id"`
	}
	if err := s.read(ctx, "/api/v1/balance", &balance); err != nil {
		return 0, err
	}
	f.account = balance.AccountID
	for _, name := range []string{"laptop", "server"} {
		out, err := s.admin(ctx, "key", "--telegram-id", "1", "--name", name)
		var made struct {
			ID  int64 `json:"key_id"`
			Key string
		}
		if err := errors.Join(err, json.Unmarshal(out, &made)); err != nil {
			return 0, fmt.Errorf("key: %w", err)
		}
		f.keys = append(f.keys, made.ID)
		s.key = made.Key // the bench's own has a limit of its own, and sees its own calls alone
	}
	return f.run(ctx)
}

// questions are those of the Mini App's screens and of dashboards.
func (s *site) questions(ctx context.Context) ([]question, error) {
	days := func(n int) string {
		now := time.Now().UTC()
		return "from=" + now.AddDate(0, 0, 1-n).Format(time.DateOnly) + "&to=" + now.Format(time.DateOnly)
	}
	var deep struct {
		Transactions []struct{ ID int64 }
		NextCursor   string `json:"next_cursor"`
	}
	cursor := ""
	for range 20 { // ten thousand transactions down
		if err := s.read(ctx, "/api/v1/transactions?limit=500&cursor="+cursor, &deep); err != nil {
			return nil, err
		}
		cursor = deep.NextCursor
	}
	const usage = "/api/v1/usage?"
	half := "&tz=Asia/Kolkata"
	return []question{
		{name: "balance", path: "/api/v1/balance"},
		{name: "usage, 30 days, the sum", path: usage + days(30)},
		{name: "usage, 90 days, the sum", path: usage + days(90)},
		{name: "usage, 30 days, `include_details`", path: usage + days(30) + "&include_details=true"},
		{name: "usage, 30 days by model", path: usage + days(30) + "&group_by=model"},
		{name: "usage, 30 days by key", path: usage + days(30) + "&group_by=key"},
		{name: "usage, 60 days by day and model (Home)", path: usage + days(60) + "&group_by=day,model"},
		{name: "usage, 2 days by hour and model (Home)", path: usage + days(2) + "&group_by=hour,model"},
		{name: "usage, 90 days by day, model and key", path: usage + days(90) + "&group_by=day,model,key"},
		{name: "usage, 31 days by hour", path: usage + days(31) + "&group_by=hour"},
		{name: "usage, 60 days by day and model, half-hour zone", path: usage + days(60) + "&group_by=day,model" + half},
		{name: "usage, 2 days by hour and model, half-hour zone", path: usage + days(2) + "&group_by=hour,model" + half},
		{name: "usage, 31 days by hour, half-hour zone", path: usage + days(31) + "&group_by=hour" + half},
		{name: "usage, 30 days of one model", path: usage + days(30) + "&group_by=day&model=gpt-4o"},
		{name: "calls, the newest 50", path: "/api/v1/usage/calls?" + days(30)},
		{name: "calls, the newest 500 of one model", path: "/api/v1/usage/calls?limit=500&model=gpt-4o&" + days(30)},
		{name: "export, the first byte", path: "/api/v1/usage/export?" + days(90), first: true},
		{name: "transactions, the newest 50", path: "/api/v1/transactions"},
		{name: "transactions, 500 behind the 10,000th", path: "/api/v1/transactions?limit=500&cursor=" + cursor},
		{name: "transactions without calls", path: "/api/v1/transactions?calls=false"},
		{name: "GraphQL: balance, 30 days by day, 20 calls with their keys", path: "/graphql",
			query: `query($to: String) { account { available_usd usage(to: $to, group_by: [day]) { total { cost_usd } rows { start cost_usd } } calls(first: 20) { calls { id model cost_usd key { name } } } } }`},
	}, nil
}

// askOften asks a question over and over and returns its row of the table.
func (s *site) askOften(ctx context.Context, q question) (string, error) {
	var took []time.Duration
	size := 0
	for n := range usageWarm + usageAsked {
		read, t, err := s.askOnce(ctx, q, n)
		if err != nil {
			return "", err
		}
		if size = read; n >= usageWarm {
			took = append(took, t)
		}
	}
	slices.Sort(took)
	goal := ""
	if strings.HasPrefix(q.name, "usage") {
		goal = "p95 < 200 ms: missed"
		if took[len(took)*95/100] < usageGoal {
			goal = "p95 < 200 ms: met"
		}
	}
	return fmt.Sprintf("| %s | %.1f KB | %s | **%s** | %s |\n", q.name, float64(size)/1024, fine(took[len(took)/2]), fine(took[len(took)*95/100]), goal), nil
}

// askOnce asks once and returns the bytes of the answer that were read, and how long it took.
func (s *site) askOnce(ctx context.Context, q question, n int) (size int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, usageWithin)
	defer cancel()
	method, body := http.MethodGet, []byte(nil)
	if q.query != "" {
		// Another end each time, since what usage came to is kept for a minute.
		to := time.Now().UTC().Add(-time.Duration(n) * time.Second).Format(time.RFC3339)
		method = http.MethodPost
		if body, err = json.Marshal(map[string]any{"query": q.query, "variables": map[string]any{"to": to}}); err != nil {
			return 0, 0, err
		}
	}
	began := time.Now()
	answer, err := s.request(ctx, method, q.path, body)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if q.first {
		_, err = io.ReadFull(answer.Body, make([]byte, 1))
		return 1, time.Since(began), err
	}
	text, err := io.ReadAll(answer.Body)
	took = time.Since(began)
	if err == nil && (answer.StatusCode != http.StatusOK || bytes.Contains(text, []byte(`"errors":`))) {
		err = fmt.Errorf("status %d: %.300s", answer.StatusCode, text)
	}
	return len(text), took, err
}

// exportWhole reads all calls once and says how fast, and what it did to the server's memory.
func (s *site) exportWhole(ctx context.Context, calls int) (string, error) {
	before, err := processes.Resident(s.kikuaiPID)
	if err != nil {
		return "", err
	}
	began := time.Now()
	from := began.UTC().AddDate(0, 0, -fillDays-1).Format(time.DateOnly)
	answer, err := s.request(ctx, http.MethodGet, "/api/v1/usage/export?from="+from, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	lines, most := 0, before
	read := bufio.NewScanner(answer.Body)
	for read.Scan() {
		if lines++; lines%50_000 == 0 {
			now, err := processes.Resident(s.kikuaiPID)
			if err != nil {
				return "", err
			}
			most = max(most, now)
		}
	}
	if err := read.Err(); err != nil || lines != calls {
		return "", errors.Join(fmt.Errorf("%d lines of %d calls", lines, calls), err)
	}
	took := time.Since(began)
	return fmt.Sprintf("The whole export, %d lines: %s, %.0f lines a second; the server has %d MB before and at most %d MB while it is read.",
		lines, took.Round(100*time.Millisecond), float64(lines)/took.Seconds(), before>>20, most>>20), nil
}

// reconciled is what the house's own comparison of Redis and ledger says.
func (s *site) reconciled(ctx context.Context) string {
	out, err := s.admin(ctx, "reconcile")
	var answer struct{ Differences []json.RawMessage }
	if json.Unmarshal(out, &answer) != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return fmt.Sprintf("%d differences", len(answer.Differences))
}

// admin runs an admin command and returns its JSON.
func (s *site) admin(ctx context.Context, args ...string) ([]byte, error) {
	return s.program.Run(ctx, append(append([]string{"admin"}, args...), "--json")...)
}

func (s *site) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.kikuai+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(request)
}

// read reads an answer.
func (s *site) read(ctx context.Context, path string, into any) error {
	answer, err := s.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("GET %s: %d %.300s", path, answer.StatusCode, text)
	}
	return errors.Join(err, json.Unmarshal(text, into))
}
