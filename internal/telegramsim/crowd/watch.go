package crowd

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// watch follows what the bot does in the crowd's chats.
type watch struct {
	o Options

	mu        sync.Mutex
	lines     map[int64]*line
	open      int            // messages not answered yet
	refused   map[string]int // descriptions of refusals that are neither 429 nor 502
	gateways  int            // 502s
	reordered int
	answered  chan struct{} // capacity 1: something was
}

// line is one chat: its messages, in order.
type line struct {
	messages []told
	newest   int // the highest number that was answered; -1
}

// told is one message and what became of it.
type told struct {
	written, first, final time.Time
	answers               []int64 // the bot's messages that repeat its mark
}

func newWatch(o Options) *watch {
	w := &watch{o: o, lines: make(map[int64]*line, o.Chats), refused: map[string]int{}, open: o.Chats * o.Each, answered: make(chan struct{}, 1)}
	for n := range o.Chats {
		w.lines[o.FirstChat+int64(n)] = &line{messages: make([]told, o.Each), newest: -1}
	}
	return w
}

func (w *watch) wrote(chat int64, i int, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[chat].messages[i].written = at
}

// see takes one call of the bot's; the simulator calls it in order.
func (w *watch) see(c telegramsim.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[c.Chat]
	if l == nil {
		return
	}
	switch {
	case c.Status == 502:
		w.gateways++
		return
	case !c.OK():
		if c.Status != 429 {
			w.refused[c.Description]++
		}
		return
	}
	var text string
	switch {
	case c.Message != nil:
		text = c.Message.Text + c.Message.Caption + string(c.Message.Rich)
	case strings.HasSuffix(c.Method, "Draft"):
		text = c.Params["text"] + c.Params["rich_message"]
	default:
		return // no frame: typing, deletions, answers to buttons
	}
	marks := Marks(c.Chat, text)
	if len(marks) == 0 {
		if i := l.oldest(); i >= 0 {
			marks = []int{i}
		}
		if c.Message != nil && w.o.Answers == Echo {
			l.showed(marks, c.At) // a frame, but no answer to anything
			return
		}
	}
	l.showed(marks, c.At)
	if c.Message == nil {
		return
	}
	for _, i := range marks {
		w.answer(l, i, c)
	}
}

// oldest is the first message that was written and is not answered, or -1.
func (l *line) oldest() int {
	return slices.IndexFunc(l.messages, func(m told) bool { return m.final.IsZero() && !m.written.IsZero() })
}

// showed notes that the bot showed something for these messages.
func (l *line) showed(marks []int, at time.Time) {
	for _, i := range marks {
		if i < len(l.messages) && l.messages[i].first.IsZero() {
			l.messages[i].first = at
		}
	}
}

func (w *watch) answer(l *line, i int, c telegramsim.Call) {
	if i >= len(l.messages) {
		return
	}
	m := &l.messages[i]
	if !slices.Contains(m.answers, c.Message.MessageID) {
		m.answers = append(m.answers, c.Message.MessageID)
	}
	if !m.final.IsZero() {
		return
	}
	m.final = c.At
	if i < l.newest {
		w.reordered++
	}
	l.newest = max(l.newest, i)
	w.open--
	select {
	case w.answered <- struct{}{}:
	default:
	}
}

// left is how many messages are not answered.
func (w *watch) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// finish waits until all is answered, or nothing was for so long; then a moment more, for repeats.
func (w *watch) finish(ctx context.Context, quiet time.Duration) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for w.left() > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.answered:
			timer.Reset(quiet)
			continue
		case <-timer.C:
		}
		break
	}
	timer.Reset(linger)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
