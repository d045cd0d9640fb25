package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
)

const (
	goWords = "Say something, bitte: „größer“ 漢字 🙂"
	goCalls = "Call get_weather and get_time, please."
	goPixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

func goSchema() map[string]any {
	return map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"city", "days"},
		"properties": map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer"}},
	}
}

// goCase runs one way, and returns what can be written as JSON.
type goCase func(w way) (any, error)

// once is a case of the gateway alone, with what must come of it.
type once struct {
	want any
	run  goCase
}

// goClient is one of the clients in Go.
type goClient struct {
	t       testing.TB
	told    conformance
	enqueue func(...llmsim.Script)
}

// run runs every case both ways.
func (c *goClient) run(cases map[string]any) map[string]both {
	seen := map[string]both{}
	for name, one := range cases {
		switch one := one.(type) {
		case goCase:
			seen[name] = both{Direct: c.one(one, c.told.Direct), Through: c.one(one, c.told.Through)}
		case once:
			seen[name] = both{Direct: c.one(func(way) (any, error) { return one.want, nil }, way{}), Through: c.one(one.run, c.told.Through)}
		default:
			c.t.Fatalf("%s is a %T", name, one)
		}
	}
	return seen
}

func (c *goClient) one(run goCase, w way) outcome {
	value, err := run(w)
	if err != nil {
		return outcome{Error: fmt.Sprintf("%T", err), Said: err.Error()}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		c.t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(raw, &o.Value); err != nil {
		c.t.Fatal(err)
	}
	return o
}

// raw is an answer as it came.
func raw(text string) any { return json.RawMessage(text) }

// parts are the events of a stream as they came.
func parts(events []string) any {
	all := make([]json.RawMessage, len(events))
	for i, e := range events {
		all[i] = json.RawMessage(e)
	}
	return all
}

// answers are a client's answers, kept by a transport around the default one.
type answers struct {
	at     []time.Time
	status []int
	header []http.Header
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		a.at, a.status, a.header = append(a.at, time.Now()), append(a.status, res.StatusCode), append(a.header, res.Header)
	}
	return res, err
}

// waited tells whether a client that was refused with 429 read when to come back,
// came back no sooner, and was served. The headers' names begin with name.
func (a *answers) waited(name string) error {
	refused := slices.Index(a.status, http.StatusTooManyRequests)
	if refused < 0 || a.status[len(a.status)-1] != http.StatusOK {
		return fmt.Errorf("answered %v", a.status)
	}
	header := a.header[refused]
	after, err := time.ParseDuration(header.Get("Retry-After") + "s")
	if err != nil || after < time.Second || after > 2*time.Second {
		return fmt.Errorf("Retry-After %q: %w", header.Get("Retry-After"), errors.Join(err))
	}
	named := false
	for key := range header {
		named = named || strings.HasPrefix(strings.ToLower(key), name)
	}
	if took := a.at[len(a.at)-1].Sub(a.at[refused]); !named || took < after {
		return fmt.Errorf("came back after %v, told %v, in %v", took, after, header)
	}
	return nil
}
