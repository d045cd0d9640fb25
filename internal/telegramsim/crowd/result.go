package crowd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// Millis is a time in JSON as milliseconds, with three decimals.
type Millis time.Duration

// MarshalJSON is json.Marshaler's.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/float64(time.Millisecond), 'f', 3, 64), nil
}

// UnmarshalJSON is json.Unmarshaler's.
func (m *Millis) UnmarshalJSON(raw []byte) error {
	ms, err := strconv.ParseFloat(string(raw), 64)
	*m = Millis(ms * float64(time.Millisecond))
	return err
}

// String is a duration's, short.
func (m Millis) String() string { return time.Duration(m).Round(100 * time.Microsecond).String() }

// Spread is how long something took.
type Spread struct {
	Count int    `json:"count"`
	P50   Millis `json:"p50_ms"`
	P95   Millis `json:"p95_ms"`
	P99   Millis `json:"p99_ms"`
	Max   Millis `json:"max_ms"`
}

// TooMany counts 429s.
type TooMany struct {
	Injected int `json:"injected"` // a fault said so
	Caused   int `json:"caused"`   // the bot was over Telegram's pace
	Ignored  int `json:"ignored"`  // calls made although one still held
}

// Result is what became of a crowd.
type Result struct {
	Chats    int     `json:"chats"`
	Messages int     `json:"messages"`
	Seconds  float64 `json:"seconds"`

	Acknowledged   Spread         `json:"acknowledged"`   // request sent to answer read, of the attempt that succeeded
	FirstFrame     Spread         `json:"first_frame"`    // written to the first thing that the person sees
	Final          Spread         `json:"final"`          // written to the message that answers
	Unacknowledged int            `json:"unacknowledged"` // updates that Telegram still has
	GivenUp        int            `json:"given_up"`       // updates whose life ended before they were acknowledged
	Lost           int            `json:"lost"`           // messages without an answer
	Reordered      int            `json:"reordered"`      // answers after that of a later message of the chat
	Duplicated     int            `json:"duplicated"`     // messages that answer what is answered
	Together       int            `json:"together"`       // messages answered along with another
	Retries        int64          `json:"retries"`        // deliveries that failed and were made again
	OutOfOrder     int            `json:"out_of_order"`   // acknowledgements before that of an earlier update of the chat
	TooMany        TooMany        `json:"too_many"`
	BadGateways    int            `json:"bad_gateways"`      // 502s that a fault made
	Refused        map[string]int `json:"refused,omitempty"` // other refusals, by description
	Violations     int            `json:"violations"`        // calls that are not as the Bot API documents them
	Kills          int            `json:"kills,omitempty"`
}

// Kept tells whether nothing was lost and nothing changed its place.
func (r *Result) Kept() bool {
	return r.Lost+r.Reordered+r.Unacknowledged+r.GivenUp+r.OutOfOrder == 0
}

// result counts; the watch goes on.
func (w *watch) result() *Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &Result{
		Chats: w.o.Chats, Messages: w.o.Chats * w.o.Each, Lost: w.open, Reordered: w.reordered, BadGateways: w.gateways,
		Refused: maps.Clone(w.refused),
	}
	var first, final []time.Duration
	for _, l := range w.lines {
		by := map[int64]int{} // how many messages one of the bot's answers
		for _, m := range l.messages {
			if !m.first.IsZero() {
				first = append(first, m.first.Sub(m.written))
			}
			if !m.final.IsZero() {
				final = append(final, m.final.Sub(m.written))
				r.Duplicated += len(m.answers) - 1
				by[m.answers[0]]++
			}
		}
		for _, n := range by {
			if n > 1 {
				r.Together += n
			}
		}
	}
	r.FirstFrame, r.Final = spread(first), spread(final)
	return r
}

// deliveries adds what Telegram's side saw.
func (r *Result) deliveries(report *telegramsim.ReplayReport) {
	r.Acknowledged = Spread{Count: len(report.Acknowledged), P50: Millis(report.AckP50), P95: Millis(report.AckP95), P99: Millis(report.AckP99), Max: Millis(report.AckMax)}
	r.GivenUp = len(report.Lost)
	r.Unacknowledged = len(report.Missing) - r.GivenUp
	r.Retries, r.OutOfOrder = report.Retries, report.OutOfOrder
}

// String is the result for people.
func (r *Result) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("messages", "%d of %d chats in %.1f s, %.0f a second", r.Messages, r.Chats, r.Seconds, float64(r.Messages)/max(r.Seconds, 0.001))
	for _, s := range []struct {
		name   string
		spread Spread
	}{{"acknowledged", r.Acknowledged}, {"first frame", r.FirstFrame}, {"final answer", r.Final}} {
		line(s.name, "p50 %s, p99 %s, at most %s (%d)", s.spread.P50, s.spread.P99, s.spread.Max, s.spread.Count)
	}
	line("lost", "%d, and %d not acknowledged, %d given up by Telegram", r.Lost, r.Unacknowledged, r.GivenUp)
	line("reordered", "%d answers, %d acknowledgements", r.Reordered, r.OutOfOrder)
	line("duplicated", "%d answers sent twice; %d messages answered together", r.Duplicated, r.Together)
	line("deliveries", "%d made again", r.Retries)
	line("429", "%d caused by the bot's pace, %d while one held, %d injected", r.TooMany.Caused, r.TooMany.Ignored, r.TooMany.Injected)
	if r.BadGateways > 0 {
		line("502", "%d injected", r.BadGateways)
	}
	if r.Kills > 0 {
		line("kills", "%d", r.Kills)
	}
	for _, said := range slices.Sorted(maps.Keys(r.Refused)) {
		line("refused", "%d× %s", r.Refused[said], said)
	}
	if r.Violations > 0 {
		line("violations", "%d calls are not as the Bot API documents them", r.Violations)
	}
	return b.String()
}
