// Package doctor looks a deployment over, from outside and inside, and says of each
// finding how to mend it. It changes nothing, spends nothing and prints no secret.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/telemetry"
)

// Level is how grave a finding is.
type Level string

// The levels. A fault breaks something today, or loses something on the first bad day; a
// warning is worth an operator's look.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Fault   Level = "fault"
)

const (
	atOnce      = 8 // checks
	checkIn     = 10 * time.Second
	longestSays = 600 // characters: what others say of themselves may be long
)

// Finding is what a check has found.
type Finding struct {
	Check string `json:"check"` // redis.policy and the like
	Level Level  `json:"level"`
	Says  string `json:"says"`           // one sentence
	Mend  string `json:"mend,omitempty"` // what to do; none where all is well
}

// Check is one thing that is looked at.
type Check struct {
	Name string
	Run  func(ctx context.Context) []Finding // of any number; it heeds its context
}

// Examine carries out the checks, a few at a time, and returns what they found in their
// order. One that takes longer than ten seconds is a warning.
func Examine(ctx context.Context, checks []Check) []Finding {
	results := make([][]Finding, len(checks))
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, check := range checks {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] = check.carryOut(ctx)
		})
	}
	running.Wait()
	return slices.Concat(results...)
}

func (c Check) carryOut(ctx context.Context) (found []Finding) {
	within, cancel := context.WithTimeout(ctx, checkIn)
	defer cancel()
	found = c.Run(within)
	if within.Err() != nil && len(found) == 0 {
		found = []Finding{warning("look whether it can be reached from here, and try again", "No answer within %s.", checkIn)}
	}
	for i := range found {
		found[i].Check = c.Name
		found[i].Says, found[i].Mend = presentable(found[i].Says), presentable(found[i].Mend)
	}
	return found
}

// presentable is one line without what looks like a secret.
func presentable(text string) string {
	text = strings.Join(strings.Fields(telemetry.Redact(text)), " ")
	if len(text) > longestSays {
		text = strings.ToValidUTF8(text[:longestSays], "") + "…"
	}
	return text
}

// Only keeps the checks whose names begin with one of the words; none: all of them.
func Only(checks []Check, words []string) []Check {
	if len(words) == 0 {
		return checks
	}
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return c.Name == word || strings.HasPrefix(c.Name, word+".") })
	})
}

// Count is how many findings are of a level.
func Count(found []Finding, level Level) int {
	n := 0
	for _, f := range found {
		if f.Level == level {
			n++
		}
	}
	return n
}

func well(says string, args ...any) Finding {
	return Finding{Level: OK, Says: fmt.Sprintf(says, args...)}
}

func warning(mend, says string, args ...any) Finding {
	return Finding{Level: Warning, Says: fmt.Sprintf(says, args...), Mend: mend}
}

func fault(mend, says string, args ...any) Finding {
	return Finding{Level: Fault, Says: fmt.Sprintf(says, args...), Mend: mend}
}

// reason is the innermost part of an error: the rest is how we came by it.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text := err.Error()
	if lines := strings.Split(text, "\n"); len(lines) > 1 {
		text = strings.TrimSpace(lines[len(lines)-1])
	}
	return strings.TrimSuffix(text, ".")
}
