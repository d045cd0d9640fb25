// Package crowd lets thousands of simulated people write to a bot, by Telegram's rules of delivery, and judges what
// came back: how soon the bot acknowledged and answered, what was lost, repeated or put out of order, and how
// often it was told to slow down.
//
// A message carries a mark, which an echoing bot repeats; so an answer names the messages it is for, however many
// of them the bot took together.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// Answers says how answers are matched with messages.
type Answers string

// The ways.
const (
	Echo Answers = "echo" // an answer repeats the marks of what it is for
	Any  Answers = "any"  // each message of the bot answers the chat's oldest open one; repeats cannot be told
)

const (
	firstChat = 2_000_001
	quietMost = 2 * time.Minute // without an answer, by default
	linger    = time.Second     // after the last answer, for repeats to come
)

// Options describe a crowd.
type Options struct {
	Chats     int                      // people, each in their private chat with the bot
	Each      int                      // messages of each, in turn with the others'
	FirstChat int64                    // the first person's id, the others follow; default 2,000,001
	Topics    bool                     // each message in a topic of its own, so that the bot takes none together
	Rate      float64                  // messages a second of all people; 0: as fast as they can be written
	Answers   Answers                  // default Echo
	Wait      time.Duration            // the longest without any answer before the rest counts as lost; default 2 min
	Text      func(mark string) string // of a message; default: the mark alone
}

// ErrOptions says that Options make no crowd.
var ErrOptions = errors.New("crowd: there must be at least one chat and one message, and answers are echo or any")

func (o *Options) complete() error {
	if o.FirstChat == 0 {
		o.FirstChat = firstChat
	}
	if o.Wait == 0 {
		o.Wait = quietMost
	}
	if o.Answers == "" {
		o.Answers = Echo
	}
	if o.Text == nil {
		o.Text = func(mark string) string { return mark }
	}
	if o.Chats < 1 || o.Each < 1 || o.Rate < 0 || o.Wait < 0 || o.Answers != Echo && o.Answers != Any {
		return ErrOptions
	}
	return nil
}

// Mark is what a message carries, and Marks finds them.
func Mark(chat int64, i int) string { return fmt.Sprintf("message %d of %d.", i, chat) }

// Marks lists which messages of a chat a text repeats, in its order.
func Marks(chat int64, text string) []int {
	var found []int
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "message ")
		if !ok {
			return found
		}
		var i int
		var whose int64
		var end rune
		if n, _ := fmt.Sscanf(after, "%d of %d%c", &i, &whose, &end); n == 3 && whose == chat && end == '.' {
			found = append(found, i)
		}
		rest = after
	}
}

// Run lets the crowd write and waits until everything is answered, or nothing was for Options.Wait, or ctx ends.
// What is missing then stands in the result and is no error. Somebody must carry the updates: a webhook that is
// set, or a bot that polls.
func Run(ctx context.Context, sim *telegramsim.Server, o Options) (*Result, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := newWatch(o)
	before := sim.Pace()
	violations := len(sim.Violations())
	defer sim.Watch(w.see)()
	began := time.Now()
	report, err := sim.Replay(ctx, telegramsim.ReplayOptions{
		Chats: o.Chats, PerChat: o.Each, FirstChat: o.FirstChat, Rate: o.Rate, Topics: o.Topics, Wait: o.Wait,
		Text: func(chat int64, i int) string {
			w.wrote(chat, i, time.Now())
			return o.Text(Mark(chat, i))
		},
	})
	if err != nil {
		return nil, err
	}
	if err := w.finish(ctx, o.Wait); err != nil {
		return nil, err
	}
	r := w.result()
	r.Seconds = time.Since(began).Seconds()
	r.deliveries(&report)
	after := sim.Pace()
	r.TooMany = TooMany{Injected: after.Injected - before.Injected, Caused: after.Caused - before.Caused, Ignored: total(after.Ignored) - total(before.Ignored)}
	r.Violations = len(sim.Violations()) - violations
	return r, nil
}

func total(byChat map[int64]int) (n int) {
	for _, count := range byChat {
		n += count
	}
	return n
}

// percentile of sorted durations, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

func spread(durations []time.Duration) Spread {
	slices.Sort(durations)
	return Spread{
		Count: len(durations), P50: Millis(percentile(durations, 50)), P95: Millis(percentile(durations, 95)), P99: Millis(percentile(durations, 99)), Max: Millis(percentile(durations, 100)),
	}
}
