package talk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

const (
	turnsKept      = 60                  // turns of a topic, at most
	turnBytesLimit = 24 << 10            // one remembered question or answer is cut to this
	piecesBytes    = 128 << 10           // of a turn's updates that are kept for asking again
	choiceLife     = 90 * 24 * time.Hour // of a topic's model and persona, since they were chosen or used
)

// exchange is a question and its answer, as they are kept.
type exchange struct {
	Turn     int64  `json:"turn"`  // its first update
	Asked    []int  `json:"asked"` // the person's messages
	Question string `json:"q"`
	Answer   string `json:"a,omitempty"`
	At       int64  `json:"at"` // Unix seconds

	stored string // as it stands in Redis
}

func (e exchange) tokens() int { return tokensAbout(e.Question) + tokensAbout(e.Answer) }

// talk is a topic's conversation: what it has come to.
type talk struct {
	model     string // the topic's own; empty: the person's
	persona   string // the topic's own; empty: the person's
	summary   string // of what is older than the exchanges
	exchanges []exchange
	last      int64    // the latest turn
	pieces    [][]byte // its updates; none: they were too large
}

// beginning is what a turn has to know before it begins.
type beginning struct {
	talk     talk
	answered *outcome      // the turn was answered before; nil: it was not
	stopped  bool          // it was stopped before
	payer    *hall.Sponsor // who was to pay when it came before; nil: that was not decided
}

// conversations keeps each topic's conversation and, per update, the effect that a
// redelivery must not repeat. All of a chat lives on its shard.
type conversations struct{ redis redis.Cmdable }

// Begin notes that the turn is under way and reads what it has to know, in one call.
func (c conversations) Begin(ctx context.Context, t *turn) (beginning, error) {
	var b beginning
	var effect *redis.StringCmd
	var stopped *redis.IntCmd
	var payer *redis.StatusCmd
	reading := newReading(t.topic)
	commands, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		effect = p.Get(ctx, hall.EffectKey(t.topic.chat, t.Update))
		stopped = p.Exists(ctx, stopKey(t.topic.chat, t.draft))
		if !t.Private() {
			payer = t.propose(ctx, p)
		}
		reading.ask(ctx, p)
		p.Expire(ctx, t.topic.choiceKey(), choiceLife)
		p.Set(ctx, t.topic.runKey(), strconv.Itoa(t.draft)+":"+strconv.FormatInt(t.From.ID, 10), runLife)
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = hall.Failure(commands)
	}
	if err != nil {
		return b, hall.Away("conversation", err)
	}
	if stored, err := effect.Result(); err == nil {
		b.answered = new(outcome)
		if json.Unmarshal([]byte(stored), b.answered) != nil {
			b.answered = new(outcome) // kept in an older form: it was answered, and is not again
		}
	}
	b.stopped, b.talk = stopped.Val() > 0, reading.talk()
	b.payer, err = decidedAs(payer)
	return b, err
}

// Talk returns a topic's conversation.
func (c conversations) Talk(ctx context.Context, at topic) (talk, error) {
	reading := newReading(at)
	commands, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		reading.ask(ctx, p)
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = hall.Failure(commands)
	}
	if err != nil {
		return talk{}, hall.Away("conversation", err)
	}
	return reading.talk(), nil
}

// reading is a look at a topic's conversation.
type reading struct {
	at      topic
	turns   *redis.StringSliceCmd
	gist    *redis.MapStringStringCmd
	choices *redis.MapStringStringCmd
}

func newReading(at topic) *reading { return &reading{at: at} }

func (r *reading) ask(ctx context.Context, p redis.Pipeliner) {
	r.turns = p.LRange(ctx, r.at.talkKey(), -turnsKept, -1)
	r.gist = p.HGetAll(ctx, r.at.gistKey())
	r.choices = p.HGetAll(ctx, r.at.choiceKey())
}

func (r *reading) talk() talk {
	gist, choices := r.gist.Val(), r.choices.Val()
	k := talk{
		model: choices[choiceModel], persona: choices[choicePersona],
		summary: gist[gistSummary], exchanges: exchangesOf(r.turns.Val()),
	}
	k.last, _ = strconv.ParseInt(gist[gistTurn], 10, 64) // none where it is missing
	var pieces []json.RawMessage
	if json.Unmarshal([]byte(gist[gistPieces]), &pieces) == nil {
		for _, piece := range pieces {
			k.pieces = append(k.pieces, piece)
		}
	}
	return k
}

// exchangesOf reads exchanges, oldest first. What lies before a damaged one no longer
// makes sense.
func exchangesOf(stored []string) []exchange {
	exchanges := make([]exchange, len(stored))
	for i, text := range slices.Backward(stored) {
		if err := json.Unmarshal([]byte(text), &exchanges[i]); err != nil {
			return exchanges[i+1:]
		}
		exchanges[i].stored = text
	}
	return exchanges
}

// Remember stores the outcome under the updates that asked for it and adds the turn to
// the topic's conversation, in one transaction: a redelivery finds either both or neither.
// A turn that asks anew takes the place of the one before; what was summed up goes.
func (c conversations) Remember(ctx context.Context, t *turn, o outcome) error {
	o.Turn = t.Update
	kept, err := json.Marshal(exchange{
		Turn: t.Update, Asked: t.messageIDs(), At: t.began.Unix(),
		Question: hall.Clip(t.asks.kept, turnBytesLimit), Answer: hall.Clip(o.Text, turnBytesLimit),
	})
	if err != nil {
		return fmt.Errorf("encode turn: %w", err)
	}
	effect, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	pieces, err := t.rawPieces()
	if err != nil {
		return err
	}
	at, life := t.topic, t.forgetAfter()
	_, err = c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, gone := range t.gone() {
			p.LRem(ctx, at.talkKey(), -1, gone.stored)
		}
		p.RPush(ctx, at.talkKey(), kept)
		p.LTrim(ctx, at.talkKey(), -turnsKept, -1)
		p.HSet(ctx, at.gistKey(), gistTurn, t.Update, gistPieces, pieces, gistSummary, t.summary())
		p.Expire(ctx, at.talkKey(), life)
		p.Expire(ctx, at.gistKey(), life)
		p.SAdd(ctx, threadsKey(at.chat), at.thread)
		p.Expire(ctx, threadsKey(at.chat), choiceLife)
		p.Del(ctx, at.runKey())
		if t.edited != 0 {
			p.Del(ctx, editKey(at.chat, t.edited))
		}
		for _, update := range t.updates() {
			p.Set(ctx, hall.EffectKey(at.chat, update), effect, hall.EffectLife)
		}
		return nil
	})
	if err != nil {
		return hall.Away("remember turn", err)
	}
	return nil
}

// End notes that nothing is under way in a topic.
func (c conversations) End(ctx context.Context, at topic) error {
	if err := c.redis.Del(ctx, at.runKey()).Err(); err != nil {
		return hall.Away("end a turn", err)
	}
	return nil
}

// Refused notes that a turn has ended without an answer, and keeps its question for being
// asked again. One that asked again stays the question that it was.
func (c conversations) Refused(ctx context.Context, t *turn) error {
	if t.again {
		return c.End(ctx, t.topic)
	}
	pieces, err := t.rawPieces()
	if err != nil {
		return err
	}
	at, life := t.topic, t.forgetAfter()
	_, err = c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, at.gistKey(), gistTurn, t.Update, gistPieces, pieces)
		p.Expire(ctx, at.gistKey(), life)
		p.SAdd(ctx, threadsKey(at.chat), at.thread)
		p.Expire(ctx, threadsKey(at.chat), choiceLife)
		p.Del(ctx, at.runKey())
		return nil
	})
	if err != nil {
		return hall.Away("keep a question", err)
	}
	return nil
}

// Choose sets a choice of a topic; an empty value takes it back.
func (c conversations) Choose(ctx context.Context, at topic, field, value string) error {
	_, err := c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if value == "" {
			p.HDel(ctx, at.choiceKey(), field)
			return nil
		}
		p.HSet(ctx, at.choiceKey(), field, value)
		p.Expire(ctx, at.choiceKey(), choiceLife)
		p.SAdd(ctx, threadsKey(at.chat), at.thread)
		p.Expire(ctx, threadsKey(at.chat), choiceLife)
		return nil
	})
	if err != nil {
		return hall.Away("choice of a topic", err)
	}
	return nil
}

// Forget drops a topic's conversation. What was chosen for it stays.
func (c conversations) Forget(ctx context.Context, at topic) error {
	if err := c.redis.Del(ctx, at.talkKey(), at.gistKey()).Err(); err != nil {
		return hall.Away("forget turns", err)
	}
	return nil
}

// ForgetChat drops all that is kept of a chat.
func (r *Room) ForgetChat(ctx context.Context, chat int64) error {
	threads, err := r.Redis.SMembers(ctx, threadsKey(chat)).Result()
	if err != nil {
		return hall.Away("threads of a chat", err)
	}
	keys := append([]string{threadsKey(chat)}, topic{chat: chat}.keys()...)
	for _, text := range threads {
		if thread, err := strconv.Atoi(text); err == nil && thread != 0 {
			keys = append(keys, topic{chat, thread}.keys()...)
		}
	}
	if err := r.Redis.Del(ctx, keys...).Err(); err != nil {
		return hall.Away("forget a chat", err)
	}
	return nil
}

// rawPieces are the turn's updates as they came, to be kept; none where they are too large.
func (t *turn) rawPieces() (string, error) {
	raw := make([]json.RawMessage, len(t.pieces))
	size := 0
	for i, u := range t.pieces {
		raw[i] = u.Raw
		size += len(u.Raw)
	}
	if size > piecesBytes {
		return "", nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return "", fmt.Errorf("encode pieces: %w", err)
	}
	return string(text), nil
}

// piecesOf reads updates that were kept. An edited message reads like one that was sent.
func piecesOf(raw [][]byte) ([]*bot.Update, error) {
	pieces := make([]*bot.Update, len(raw))
	for i, text := range raw {
		u, err := bot.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("kept update: %w", err)
		}
		if u.Message == nil {
			u.Message = u.EditedMessage
		}
		if u.Message == nil {
			return nil, fmt.Errorf("kept update %d has no message", u.ID)
		}
		pieces[i] = u
	}
	return pieces, nil
}
