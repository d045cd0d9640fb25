package talk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/stream"
)

// errAskAgain means that who was paying for a turn has ended that: whether anything was
// paid cannot be seen any more, so nobody else is charged for it.
var errAskAgain = errors.New("talk: who paid for the group's turn has stopped")

// fund finds the account that pays for the turn. billing.ErrAccountUnknown: it would be
// the asker, who has none.
func (r *Room) fund(ctx context.Context, t *turn) (err error) {
	if !t.sponsor.None() {
		t.account = billing.Account{ID: t.sponsor.Account}
		return nil
	}
	t.account, err = r.Payer(ctx, t.Request)
	return err
}

// paying makes a call on the turn's account. Where a sponsor cannot pay for it, the asker
// does. errAskAgain, billing.ErrAccountUnknown, and call's errors.
func (r *Room) paying(ctx context.Context, t *turn, call func() error) error {
	err := call()
	gone := errors.Is(err, billing.ErrKeyUnknown)
	if t.sponsor.None() || !gone && !needsMoney(err) && !errors.Is(err, billing.ErrAccountInactive) {
		return err
	}
	if gone {
		if err := r.ForgetSponsor(ctx, t.Chat.ID); err != nil {
			return err
		}
		if t.decided {
			return errAskAgain
		}
	}
	was := t.sponsor
	t.sponsor = hall.Sponsor{}
	if err := r.turns.Decide(ctx, t); err != nil {
		return err
	}
	if !gone {
		if err := r.sayUnfunded(ctx, t, was, err); err != nil {
			return err
		}
	}
	if err := r.fund(ctx, t); err != nil {
		return err
	}
	return call()
}

// sayUnfunded says, once a day, that the asker pays although somebody offered to.
func (r *Room) sayUnfunded(ctx context.Context, t *turn, was hall.Sponsor, why error) error {
	chat := strconv.FormatInt(t.Chat.ID, 10)
	key := stream.ShardOfChat(t.Chat.ID).Key("unfunded", chat, r.Now().UTC().Format(time.DateOnly))
	first, err := r.turns.first(ctx, key, t.Update, hall.EffectLife)
	if err != nil || !first {
		return err
	}
	text := t.Voice.Say("group.pay.poor")
	var budget *billing.BudgetError
	if errors.As(why, &budget) && budget.Scope == billing.BudgetKey {
		text = t.Voice.Say("group.pay.used_up", "name", hall.SponsorName(t.Request, was.Name))
	}
	return r.Say(ctx, t.Request, text)
}

// decisionKey names who pays for a turn, so that its redelivery charges nobody else.
func decisionKey(chat, update int64) string {
	return stream.ShardOfChat(chat).Key("payer", strconv.FormatInt(update, 10))
}

// Decide notes who pays for the turn from now on.
func (c conversations) Decide(ctx context.Context, t *turn) error {
	if err := c.redis.Set(ctx, decisionKey(t.Chat.ID, t.Update), sponsorText(t.sponsor), hall.EffectLife).Err(); err != nil {
		return hall.Away("note who pays", err)
	}
	return nil
}

// propose notes who pays for the turn, unless that was decided when it came before, and
// asks for what was.
func (t *turn) propose(ctx context.Context, p redis.Pipeliner) *redis.StatusCmd {
	return p.SetArgs(ctx, decisionKey(t.Chat.ID, t.Update), sponsorText(t.sponsor), redis.SetArgs{Mode: "NX", Get: true, TTL: hall.EffectLife})
}

// decidedAs reads what propose found; nil: nothing was decided.
func decidedAs(found *redis.StatusCmd) (*hall.Sponsor, error) {
	if found == nil || errors.Is(found.Err(), redis.Nil) {
		return nil, nil
	}
	s := new(hall.Sponsor)
	if err := json.Unmarshal([]byte(found.Val()), s); err != nil {
		return nil, fmt.Errorf("who pays for a turn: %w", err)
	}
	return s, nil
}

func sponsorText(s hall.Sponsor) string {
	text, _ := json.Marshal(s) // two numbers and a string
	return string(text)
}
