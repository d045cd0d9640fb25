package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

// Each load that is a script's has one, and each script is a load.
func TestLoads(t *testing.T) {
	files, err := filepath.Glob("k6/*.js")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, file := range files {
		scripts = append(scripts, strings.TrimSuffix(filepath.Base(file), ".js"))
	}
	want := slices.DeleteFunc(names(), func(name string) bool { return name == "events" })
	slices.Sort(want)
	if !slices.Equal(scripts, want) {
		t.Errorf("there are scripts for %v, and loads %v", scripts, want)
	}
}

func TestParse(t *testing.T) {
	s, err := parse([]string{"-scenario", "spike,events", "-scale", "0.5", "-duration", "30s"})
	if err != nil || !slices.Equal(s.only, []string{"spike", "events"}) || s.scale != 0.5 || s.duration != 30*time.Second {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parse(nil); err != nil || len(s.only) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range [][]string{
		{"-scenario", "storm"}, {"-scale", "0"}, {"-scale", "-1"}, {"-scale", "NaN"}, {"-duration", "10ms"}, {"-duration", "-5s"}, {"-duration", "2h"}, {"spike"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// What k6 leaves is read, as k6 writes it: the file is the summary of a run of sockets.js
// whose bounds were made to miss one.
func TestParseSummary(t *testing.T) {
	raw, err := os.ReadFile("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseSummary(raw)
	if err != nil {
		t.Fatal(err)
	}
	if o.requests != 53 || o.length < 3*time.Second || o.p50 <= 0 || o.p95 < o.p50 || o.p99 < o.p95 || o.errors != 0 {
		t.Errorf("%+v", o)
	}
	if !slices.Equal(o.missed, []string{"heard_after p(95)<5"}) {
		t.Errorf("missed: %q", o.missed)
	}
	if !strings.Contains(o.besides, "50 sockets, 0 not opened, 0 lost") || !strings.Contains(o.besides, "heard of after p50 ") {
		t.Errorf("besides: %s", o.besides)
	}
	for _, bad := range []string{"", "{", "{}", `{"metrics":{"http_reqs":{"values":{"count":0}}},"state":{"testRunDurationMs":5}}`} {
		if _, err := parseSummary([]byte(bad)); !errors.Is(err, errSummary) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whatever differs is a fault, and whatever is held or under way is waited for.
func TestReconciled(t *testing.T) {
	read := func(text string) (r reconciled) {
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := read(`{"differences":[],"checked":{"transactions":7,"entries":14,"usage":3,"accounts":2}}`); r.fault() != nil || r.rest() != 0 || !strings.Contains(r.String(), "7 transactions with 14 entries and 3 calls: 0 differences") {
		t.Errorf("%+v: %v, %s", r, r.fault(), r)
	}
	for _, text := range []string{`{"differences":[{"what":"available"}]}`, `{"differences_omitted":1}`} {
		if r := read(text); !errors.Is(r.fault(), errBooks) {
			t.Errorf("%s is no fault", text)
		}
	}
	for _, what := range []string{"events_not_applied", "credits_not_told", "accounts_not_told", "live_holds"} {
		if r := read(`{"checked":{"` + what + `":1}}`); r.fault() != nil || r.rest() == 0 {
			t.Errorf("%s is not waited for", what)
		}
	}
}

// What stands in for k6 counts and paces as k6 does.
func TestShort(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "--no-warnings", "--import", "./short/register.mjs", "--test", "short/short.test.mjs")
	node.WaitDelay = 5 * time.Second
	if out, err := node.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestLargest(t *testing.T) {
	const text = "# HELP lag_seconds Of what.\nlag_seconds{shard=\"s00\"} 0.5\nlag_seconds{shard=\"s01\"} 1.25e+01\nlag_seconds_sum 99\nnone 0\n"
	for name, want := range map[string]float64{"lag_seconds": 12.5, "none": 0} {
		if got, err := largest(bufio.NewScanner(strings.NewReader(text)), name); err != nil || got != want {
			t.Errorf("%s: %g, %v", name, got, err)
		}
	}
	if _, err := largest(bufio.NewScanner(strings.NewReader(text)), "lag"); !errors.Is(err, errNoMetric) {
		t.Errorf("of no such metric: %v", err)
	}
}

func TestEventsOutcome(t *testing.T) {
	good := crowd.Result{Messages: 1000, Final: crowd.Spread{Count: 1000, P50: crowd.Millis(10 * time.Millisecond), P95: crowd.Millis(50 * time.Millisecond), P99: crowd.Millis(time.Second)}}
	if o := eventsOutcome(&good, 2*time.Second); len(o.missed) > 0 || o.perSecond() != 500 || o.p95 != 50*time.Millisecond {
		t.Errorf("%+v", o)
	}
	for name, spoil := range map[string]func(*crowd.Result){
		"lost":      func(r *crowd.Result) { r.Lost = 10 },
		"slow":      func(r *crowd.Result) { r.Final.P99 = crowd.Millis(3 * time.Second) },
		"reordered": func(r *crowd.Result) { r.Reordered = 1 },
		"kept back": func(r *crowd.Result) { r.Unacknowledged = 1 },
	} {
		bad := good
		spoil(&bad)
		if o := eventsOutcome(&bad, 2*time.Second); len(o.missed) != 1 {
			t.Errorf("%s: missed %q", name, o.missed)
		}
	}
}

// A load that is not measured again keeps its rows; one that is has its new ones.
func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	used := map[string]use{nameKikuai: {cores: 0.5, memory: 100 << 20}}
	first := []outcome{
		{name: "spike", what: "a spike", scale: 1, length: time.Minute, requests: 600, used: used},
		{name: "events", what: "events", scale: 0.5, length: time.Minute, requests: 60, used: used, missed: []string{"answered: lost<1%"}},
	}
	if err := write(file, first, "All is well."); err != nil {
		t.Fatal(err)
	}
	second := []outcome{
		{name: "spike", what: "a spike", scale: 1, length: time.Minute, requests: 1200, used: used},
		{name: "constant", what: "the mix", scale: 1, length: time.Minute, requests: 7, used: used},
	}
	if err := write(file, second, "All is well still."); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{
		"| spike | a spike | 1m0s | 1200 | 20 |", "| events | 0.5 × (events) | 1m0s | 60 | 1 |", "**missed**: answered: lost<1%",
		"| constant | the mix | 1m0s | 7 | 0 |", "| events | – | – | 0.50, 100 MB |", "All is well still.",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q stands %d times in\n%s", want, strings.Count(text, want), text)
		}
	}
	if strings.Contains(text, "| 600 |") || strings.Contains(text, "All is well.\n") {
		t.Errorf("what is measured anew stays as it was:\n%s", text)
	}
	if at := strings.Index; at(text, "| constant | the") > at(text, "| spike | a") || at(text, "| spike | a") > at(text, "| events | 0.5") {
		t.Errorf("the rows are not in the order of the loads:\n%s", text)
	}
}

// People write what is answered by one message each, a tenth of them to the model.
func TestSay(t *testing.T) {
	told := map[string]int{}
	const all = 10_000
	for i := range all {
		first, _, _ := strings.Cut(say(crowd.Mark(int64(i/10), i%10)), " ")
		told[first]++
	}
	if n := told["What"]; n < all/12 || n > all/8 || told["/balance"] == 0 || told["/help"] == 0 || told["/terms"] == 0 {
		t.Errorf("%v", told)
	}
}
