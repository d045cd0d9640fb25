package talk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// CommandStop passes the chat's queue by, and every limit.
const CommandStop = "stop"

const (
	// ButtonStop begins the data of the button under an answer that a group watches; a
	// draft's id and the asker's follow.
	ButtonStop = bot.StopData
	stopLife   = 10 * time.Minute // of the mark of a stop: an answer takes less, crash included
	runLife    = 10 * time.Minute // of the mark of a turn under way
	stopIn     = 5 * time.Second  // for telling the others
)

// order ends a turn, on whichever instance works on it.
type order struct {
	Chat   int64 `json:"chat"`
	Thread int   `json:"thread"`
	Draft  int   `json:"draft,omitempty"` // 0: whatever the asker is being answered

	Asker  int64 `json:"asker,omitempty"`
	Update int64 `json:"update,omitempty"` // that said so, where it names no draft
}

func (o order) topic() topic { return topic{o.Chat, o.Thread} }

// stopButton stops the turn's answer.
func stopButton(t *turn) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{
		Text: t.Voice.Say("chat.stop"), CallbackData: ButtonStop + strconv.Itoa(t.draft) + ":" + strconv.FormatInt(t.From.ID, 10),
	}}}}
}

// StopCommand ends the answer that is being written in the topic.
func (r *Room) StopCommand(ctx context.Context, q hall.Request) error {
	at := topic{q.Chat.ID, q.Thread}
	draft, asker, err := r.turns.Running(ctx, at)
	if err != nil {
		return err
	}
	if draft == 0 {
		if _, obeyed, err := r.Effect(ctx, q.Chat.ID, q.Update); err != nil || obeyed {
			return err
		}
		return r.Say(ctx, q, r.Addressed(ctx, q).Voice.Say("chat.not_running"))
	}
	may, err := r.mayDecide(ctx, q, asker)
	if err != nil {
		return err
	}
	if !may {
		return r.Say(ctx, q, r.Addressed(ctx, q).Voice.Say("chat.not_yours"))
	}
	return r.halt(ctx, order{Chat: at.chat, Thread: at.thread, Draft: draft})
}

// Stopped obeys the button that Telegram shows beside a draft.
func (r *Room) Stopped(ctx context.Context, m *models.MessageGenerationStopped) error {
	return r.halt(ctx, order{Chat: m.Chat.ID, Thread: m.MessageThreadID, Draft: m.DraftID})
}

// PressStop obeys the button under an answer that a group watches.
func (r *Room) PressStop(ctx context.Context, p hall.Press) error {
	draft, asker, ok := stopData(p.Data)
	if !ok {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, r.Addressed(ctx, p.Request).Voice.Say("chat.not_running"))
	}
	may, err := r.mayDecide(ctx, p.Request, asker)
	if err != nil {
		return err
	}
	if !may {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, r.Addressed(ctx, p.Request).Voice.Say("chat.not_yours"))
	}
	halted := r.halt(ctx, order{Chat: p.Chat.ID, Thread: p.Thread, Draft: draft})
	return errors.Join(halted, r.Sender.AnswerCallback(ctx, p.Query.ID, ""))
}

// stopData reads what follows the button's name.
func stopData(data string) (draft int, asker int64, ok bool) {
	first, second, _ := strings.Cut(data, ":")
	draft, err := strconv.Atoi(first)
	asker, err2 := strconv.ParseInt(second, 10, 64)
	return draft, asker, err == nil && err2 == nil && draft > 0
}

// Heed passes a stop on to all instances as soon as one has taken it in. The instance
// that works on the chat's updates hears of it in its turn as well; while it hands the
// chat over to another, that may be too late for an answer that it still writes.
func (r *Room) Heed(ctx context.Context, u *bot.Update) {
	var o order
	switch m := u.Message; {
	case u.StoppedMessageGeneration != nil:
		s := u.StoppedMessageGeneration
		o = order{Chat: s.Chat.ID, Thread: s.MessageThreadID, Draft: s.DraftID}
	case u.CallbackQuery != nil && u.CallbackQuery.Message.Message != nil:
		shown := u.CallbackQuery.Message.Message
		draft, asker, ok := stopData(strings.TrimPrefix(u.CallbackQuery.Data, ButtonStop))
		if !ok || asker != u.CallbackQuery.From.ID {
			return
		}
		o = order{Chat: shown.Chat.ID, Thread: shown.MessageThreadID, Draft: draft}
	case m != nil && m.From != nil:
		if name, _, ok := hall.Command(m.Text, r.Username); !ok || name != CommandStop {
			return
		}
		o = order{Chat: m.Chat.ID, Thread: m.MessageThreadID, Asker: m.From.ID, Update: u.ID}
	default:
		return
	}
	if err := r.turns.Tell(ctx, o); err != nil {
		r.Log.DebugContext(ctx, "stop not passed on at once", "error", err)
	}
}

// halt ends a turn: here at once, and elsewhere by word to all instances. The mark that it
// leaves ends a turn that begins again after a crash, or has not begun.
func (r *Room) halt(ctx context.Context, o order) error {
	r.obey(ctx, o)
	ctx, cancel := context.WithTimeout(ctx, stopIn)
	defer cancel()
	return r.turns.Stop(ctx, o)
}

// obey ends the turn if it is worked on here.
func (r *Room) obey(ctx context.Context, o order) {
	for _, one := range r.running.find(o) {
		if o.Update != 0 { // who handles it finds nothing to stop any more, and shall not say so
			if err := r.MarkEffect(ctx, o.Chat, o.Update, "stopped"); err != nil {
				r.Log.DebugContext(ctx, "stop not marked as obeyed", "error", err)
			}
		}
		one.stop()
	}
}

// stopChannel carries the orders between instances.
const stopChannel = "stops"

// Stop marks a turn as stopped and tells all instances, in this order: one that begins the
// turn meanwhile either sees the mark or hears the word.
func (c conversations) Stop(ctx context.Context, o order) error {
	if err := c.redis.Set(ctx, stopKey(o.Chat, o.Draft), "1", stopLife).Err(); err != nil {
		return hall.Away("mark a stop", err)
	}
	return c.Tell(ctx, o)
}

// Tell tells all instances of a stop.
func (c conversations) Tell(ctx context.Context, o order) error {
	word, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode an order: %w", err)
	}
	if err := c.redis.Publish(ctx, stopChannel, word).Err(); err != nil {
		return hall.Away("tell of a stop", err)
	}
	return nil
}

// Running returns the draft and the asker of the turn under way in a topic; 0 for none.
func (c conversations) Running(ctx context.Context, at topic) (draft int, asker int64, err error) {
	stored, err := c.redis.Get(ctx, at.runKey()).Result()
	if errors.Is(err, redis.Nil) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, hall.Away("turn under way", err)
	}
	first, second, _ := strings.Cut(stored, ":")
	if draft, err = strconv.Atoi(first); err != nil {
		return 0, 0, fmt.Errorf("turn under way: %w", err)
	}
	if asker, err = strconv.ParseInt(second, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("turn under way: %w", err)
	}
	return draft, asker, nil
}

// Stopped tells which of the drafts were stopped.
func (c conversations) Stopped(ctx context.Context, runs []*run) ([]bool, error) {
	marks := make([]*redis.IntCmd, len(runs))
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, one := range runs {
			marks[i] = p.Exists(ctx, stopKey(one.topic.chat, one.draft))
		}
		return nil
	})
	if err != nil {
		return nil, hall.Away("marks of stops", err)
	}
	stopped := make([]bool, len(runs))
	for i, mark := range marks {
		stopped[i] = mark.Val() > 0
	}
	return stopped, nil
}
