package talk

import (
	"context"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

const (
	messageUnits = 4096 // UTF-16 units of a message's text: Telegram's apps cut longer ones
	cutUnits     = 4000 // a text of so many units may be a part of a longer one

	// siblingsIn is the silence after which an album or a text that was cut is held to be
	// complete; joinedIn that after which a burst of messages is.
	siblingsIn = 400 * time.Millisecond
	joinedIn   = 150 * time.Millisecond
	gatherMost = 10 * time.Second // whatever goes on coming

	restartsMost = 8 // of one turn: each may cost the house a prompt
)

// joins tells whether an update that waits behind a turn is one more piece of its
// question: of the same person, in the same topic, and to be read rather than obeyed. In
// a group, where people talk to each other, only what was sent as one is.
func (r *Room) joins(t *turn, u *bot.Update) bool {
	m := u.Message
	if m == nil || m.From == nil || m.From.ID != t.From.ID || m.MessageThreadID != t.Thread || m.SuccessfulPayment != nil || m.RefundedPayment != nil {
		return false
	}
	last := t.pieces[len(t.pieces)-1].Message
	if m.MediaGroupID != "" && m.MediaGroupID == last.MediaGroupID {
		return true
	}
	if !t.Private() && !isCut(last) {
		return false
	}
	return r.IsQuestion(m)
}

// isCut tells whether a message may be a part of a longer text.
func isCut(m *models.Message) bool { return hall.UTF16Len(m.Text) >= cutUnits }

// hasSiblings tells whether more of the same is likely to follow a message.
func hasSiblings(m *models.Message) bool { return m.MediaGroupID != "" || isCut(m) }

// absorb takes what waits behind the turn into it. It tells whether nothing more can come:
// something waits that is no part of it, or the turn is asked again.
func (r *Room) absorb(t *turn) (taken int, closed bool) {
	if t.again {
		return 0, true
	}
	more := t.pieces[0].Take(func(u *bot.Update) bool {
		if closed = !r.joins(t, u); !closed {
			t.pieces = append(t.pieces, u)
		}
		return !closed
	})
	return len(more), closed
}

// gather takes the pieces of the question that are there already, and waits for those that
// are likely to come. A message that stands alone waits for nothing.
func (r *Room) gather(ctx context.Context, t *turn) error {
	taken, closed := r.absorb(t)
	end := r.Now().Add(gatherMost)
	for !closed && r.Now().Before(end) {
		wait := time.Duration(0)
		switch {
		case hasSiblings(t.pieces[len(t.pieces)-1].Message):
			wait = siblingsIn
		case taken > 0 || t.restarts > 0:
			wait = joinedIn
		}
		if wait == 0 {
			return nil
		}
		if taken, closed = r.await(ctx, t, wait); taken == 0 {
			return ctx.Err()
		}
	}
	return nil
}

// await waits for a further piece.
func (r *Room) await(ctx context.Context, t *turn, wait time.Duration) (taken int, closed bool) {
	over := r.After(wait)
	for {
		select {
		case <-ctx.Done():
			return 0, false
		case <-over:
			return 0, false
		case <-t.pieces[0].Waiting():
			if taken, closed = r.absorb(t); taken > 0 || closed {
				return taken, closed
			}
		}
	}
}

// follow ends the attempt at an answer when a further piece of the question comes before
// its first word, until the function that it returns is called.
func (r *Room) follow(t *turn) (leave func()) {
	if t.again || t.restarts >= restartsMost {
		return func() {}
	}
	stop, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		for {
			select {
			case <-stop:
				return
			case <-t.pieces[0].Waiting():
			}
			more := t.pieces[0].Take(func(u *bot.Update) bool { return r.joins(t, u) && t.run.more() })
			if len(more) > 0 {
				t.pieces = append(t.pieces, more...)
				t.restarts++
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-left
	}
}

// IsQuestion tells whether a message is to be read as a question, or a part of one.
func (r *Room) IsQuestion(m *models.Message) bool {
	if m.Text != "" && (strings.HasPrefix(m.Text, "/") || r.form(m)) || r.IsInlineMessage(m) {
		return false
	}
	return strings.TrimSpace(m.Text) != "" || attachmentOf(m).kind != kindNone
}
