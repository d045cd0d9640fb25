package talk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
)

// turn is one question of a person in a chat and topic, made of one or several updates,
// and its answer.
type turn struct {
	hall.Request // who asks and where; its update names the turn
	topic        topic
	pieces       []*bot.Update // what the question is made of, in order
	// again tells that the pieces are of an earlier turn, and nothing can be added; otherwise
	// the first is the turn's own update, and those behind it were taken.
	again   bool
	edited  int // the message whose new text is asked; 0: none
	began   time.Time
	account billing.Account // that pays
	sponsor hall.Sponsor    // whose account that is; none: the asker's
	decided bool            // the turn came before, and who pays is what was decided then
	draft   int             // id of the draft that shows the answer; the same when the update comes again
	before  talk            // the conversation until now
	instead *exchange       // in whose place the turn will stand; nil: none
	asks    question
	run     *run
	digest  *digest // nil: nothing is summed up

	restarts int               // how often a further piece made it begin again
	spent    int64             // nano-USD, by attempts that ended so
	readings map[int64]finding // by the pieces' updates: what was read of them
}

// question is what the pieces of a turn ask.
type question struct {
	message llm.Message // for the model
	kept    string      // what later turns are told of it
	quote   string      // shown above the answer, such as what a voice message said
	cost    int64       // nano-USD that reading it has cost
	refusal string      // why it cannot be asked, to be said in place of an answer
}

// newTurn is the turn that an update begins.
func (r *Room) newTurn(q hall.Request, pieces ...*bot.Update) *turn {
	return &turn{Request: q, topic: topic{q.Chat.ID, q.Thread}, pieces: pieces, draft: draftOf(q.Update), began: r.Now()}
}

// draftOf is the draft's id of the turn that an update begins: never 0, and within 31 bits.
func draftOf(update int64) int { return 1 + int(update%(math.MaxInt32-1)) }

// holdID names the turn's hold, so that no redelivery pays again.
func (t *turn) holdID() string { return "tg-" + strconv.FormatInt(t.Update, 10) }

// updates are the ids of all that the turn answers, its own first.
func (t *turn) updates() []int64 {
	ids := []int64{t.Update}
	if !t.again {
		for _, u := range t.pieces[1:] {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

// messageIDs are the person's messages that ask.
func (t *turn) messageIDs() []int {
	ids := make([]int, len(t.pieces))
	for i, u := range t.pieces {
		ids[i] = u.Message.ID
	}
	return ids
}

// answers is the message that the answer is a reply to: in a group the question; 0 for none.
func (t *turn) answers() int {
	if t.Private() || len(t.pieces) == 0 || t.pieces[0].Message.Chat.ID != t.Chat.ID { // asked before the group moved
		return t.ReplyTo
	}
	return t.pieces[0].Message.ID
}

// gone are the exchanges that the turn takes out of the conversation.
func (t *turn) gone() (gone []exchange) {
	if t.digest != nil && t.digest.text != "" {
		gone = append(gone, t.digest.of...)
	}
	if t.instead != nil {
		gone = append(gone, *t.instead)
	}
	return gone
}

// summary is that of the conversation once the turn is over.
func (t *turn) summary() string {
	if t.digest != nil && t.digest.text != "" {
		return t.digest.text
	}
	return t.before.summary
}

// replace puts the turn in the place of the latest exchange, if that is of the given turn.
func (t *turn) replace(turn int64) {
	if n := len(t.before.exchanges); n > 0 && t.before.exchanges[n-1].Turn == turn {
		t.instead = &t.before.exchanges[n-1]
		t.before.exchanges = t.before.exchanges[:n-1]
	}
}

// Chat answers a message: it reads what is asked, asks the model, shows the answer while
// it is written, and remembers it.
//
// The hold is named after the turn's first update, and the finished answer is remembered
// under all of its updates before it is sent: whoever dies in between, a redelivery
// charges once and sends the same answer.
func (r *Room) Chat(ctx context.Context, q hall.Request, u *bot.Update) error {
	return r.take(ctx, r.newTurn(q, u), func(context.Context, *turn) (string, error) { return "", nil })
}

// take runs a turn, after prepare has seen what was before. What prepare returns is said in
// place of an answer.
func (r *Room) take(ctx context.Context, t *turn, prepare func(context.Context, *turn) (string, error)) (err error) {
	t.run = r.running.begin(ctx, t)
	defer t.run.end()
	if !t.Private() {
		if t.sponsor, err = r.SponsorOf(ctx, t.Chat.ID); err != nil {
			return err
		}
	}
	before, err := r.turns.Begin(ctx, t)
	if err != nil {
		return err
	}
	if before.payer != nil {
		t.sponsor, t.decided = *before.payer, true
	}
	if before.answered != nil {
		return r.repeat(ctx, t, *before.answered)
	}
	t.before = before.talk
	if before.stopped {
		t.run.stop()
	}
	switch err = r.fund(ctx, t); {
	case !t.Private() && errors.Is(err, billing.ErrAccountUnknown):
		return r.turnAway(ctx, t)
	case err != nil:
		return fmt.Errorf("account: %w", err)
	}
	sentence, err := prepare(ctx, t)
	if err != nil {
		return err
	}
	if sentence != "" {
		if err := r.turns.End(ctx, t.topic); err != nil {
			return err
		}
		return r.Say(ctx, t.Request, sentence)
	}
	return r.answer(ctx, t)
}

// answer brings a turn to its end, anew with each piece that comes before the first word of
// the answer.
func (r *Room) answer(ctx context.Context, t *turn) error {
	live := r.live(t)
	defer live.Close()
	defer func() { t.digest.end() }()
	for {
		if err := r.question(t.run.life, t); err != nil {
			if ctx.Err() == nil {
				err = cmp.Or(t.run.err(), err)
			}
			return r.conclude(ctx, t, live, llm.ChatAnswer{}, err)
		}
		if t.asks.refusal != "" {
			return r.refuse(ctx, t, live, t.asks.refusal, nil)
		}
		answer, err := r.complete(ctx, t, live)
		if errors.Is(err, errMore) {
			t.spent += answer.CostNano
			t.run.again()
			continue
		}
		return r.conclude(ctx, t, live, answer, err)
	}
}

// live shows the answer while it is written.
func (r *Room) live(t *turn) *bot.Live {
	return r.Sender.Live(bot.LiveOptions{
		ChatID: t.Chat.ID, ThreadID: t.Thread, Private: t.Private(), DraftID: t.draft, Keyboard: stopButton(t),
		ReplyTo: t.answers(), Render: format.Markdown,
	})
}

// complete asks the model. What is old is summed up beside it, from the first word on:
// then the question was taken.
func (r *Room) complete(ctx context.Context, t *turn, live *bot.Live) (llm.ChatAnswer, error) {
	if err := t.run.err(); err != nil {
		return llm.ChatAnswer{}, err
	}
	model := r.model(t)
	leave := r.follow(t)
	messages := t.messages(r.room(model))
	var answer llm.ChatAnswer
	err := r.paying(ctx, t, func() (err error) {
		answer, err = r.Completer.Complete(t.run.attempt, llm.ChatCall{
			AccountID:  t.account.ID,
			KeyID:      t.sponsor.Key,
			HoldID:     t.holdID(),
			LimitScope: "account",
			LimitID:    strconv.FormatInt(t.account.ID, 10),
			Model:      model,
			Messages:   messages,
			MaxOutput:  r.MaxOutput,
		}, func(text string) error {
			begins, err := t.run.word()
			if err != nil {
				return err
			}
			if begins {
				failpoint.Here("chat.begun")
				t.digest = r.sumUp(t)
			}
			return live.Update(text)
		})
		return err
	})
	leave()
	if ended := t.run.err(); ctx.Err() == nil && (err != nil || errors.Is(ended, errMore)) {
		err = cmp.Or(ended, err)
	}
	return answer, err
}

// conclude remembers and sends what a turn came to.
func (r *Room) conclude(ctx context.Context, t *turn, live *bot.Live, answer llm.ChatAnswer, failed error) error {
	summed, left := t.digest.wait(ctx)
	o := outcome{Text: answer.Text, Quote: t.asks.quote, Cost: answer.CostNano + t.spent + t.asks.cost + summed, Available: cmp.Or(left, answer.AvailableNano)}
	switch {
	case errors.Is(failed, ErrStopped):
		o.End = endStopped
	case errors.Is(failed, billing.ErrAccountUnknown): // who was to pay cannot, and the asker has none
		return r.turnAway(ctx, t)
	case failed != nil && (answer.Text == "" || errors.Is(failed, billing.ErrClosed)): // what is not in the books is asked again
		sentence, known := r.explain(t.Request, failed)
		if known && sentence == "" {
			return r.turns.End(ctx, t.topic)
		}
		if !known {
			return failed
		}
		return r.refuse(ctx, t, live, sentence, r.wayOut(t.Request, failed))
	case failed != nil:
		o.End = endCut
	}
	r.SpentMore(ctx, t.account.ID)
	failpoint.Here("chat.settled")
	if err := r.turns.Remember(ctx, t, o); err != nil {
		return err
	}
	failpoint.Here("chat.remembered")
	return live.Finish(ctx, r.final(t, o))
}

// turnAway ends a turn that nobody can pay for: who asked has no account.
func (r *Room) turnAway(ctx context.Context, t *turn) error {
	if err := r.turns.End(ctx, t.topic); err != nil {
		return err
	}
	return r.welcomeStranger(ctx, t.Request)
}

// refuse ends a turn with a sentence of ours, and buttons, in place of an answer. It can be
// asked again.
func (r *Room) refuse(ctx context.Context, t *turn, live *bot.Live, sentence string, buttons *models.InlineKeyboardMarkup) error {
	if err := r.turns.Refused(ctx, t); err != nil {
		return err
	}
	return live.Finish(ctx, bot.Message{
		ChatID: t.Chat.ID, ThreadID: t.Thread, ReplyTo: t.answers(), Text: sentence, Keyboard: buttons,
	})
}

// repeat sends again what a turn came to, after a crash between remembering and the end.
// An update that was taken into another's turn was answered with that.
func (r *Room) repeat(ctx context.Context, t *turn, o outcome) error {
	if err := r.turns.End(ctx, t.topic); err != nil {
		return err
	}
	if o.Turn != t.Update {
		return nil
	}
	_, err := r.Sender.Send(ctx, r.final(t, o))
	return err
}

// model is the one that answers the turn.
func (r *Room) model(t *turn) string { return r.chatModel(t.before, t.Settings) }

// persona is what the model is told before anything else.
func (t *turn) persona() string { return personaOf(t.before, t.Settings) }

// forgetAfter is how long the conversation is kept once nobody writes.
func (t *turn) forgetAfter() time.Duration { return cmp.Or(t.Settings.ForgetAfter, hall.TurnsLife) }
