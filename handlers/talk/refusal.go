package talk

import (
	"errors"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

// needsMoney tells whether a call was refused because its account cannot pay for it.
func needsMoney(err error) bool {
	var poor *billing.PoorError
	var budget *billing.BudgetError
	return errors.As(err, &poor) || errors.As(err, &budget)
}

// wayOut are the buttons under a refusal; nil for none.
func (r *Room) wayOut(q hall.Request, err error) *models.InlineKeyboardMarkup {
	if q.Private() || !needsMoney(err) {
		return nil
	}
	return r.Privately(q.Voice.Say("topup.button"), hall.StartTopUp)
}

// explain turns a refusal into a sentence, or into none where it was said already; what
// it does not know is worth a retry.
func (r *Room) explain(q hall.Request, err error) (string, bool) {
	var (
		poor     *billing.PoorError
		budget   *billing.BudgetError
		exceeded *ratelimit.ExceededError
		upstream *llm.UpstreamError
		invalid  *llm.RequestError
	)
	switch {
	case !q.Private() && needsMoney(err):
		return q.Voice.Say("group.poor"), true
	case errors.As(err, &poor):
		return q.Voice.Say("chat.poor", "need", hall.Dollars(poor.Need), "balance", hall.Dollars(poor.Available)), true
	case errors.As(err, &budget):
		key := "chat.budget_day"
		if budget.Period == billing.BudgetMonth {
			key = "chat.budget_month"
		}
		return q.Voice.Say(key, "need", hall.Dollars(budget.Need), "budget", hall.Dollars(budget.Limit),
			"left", hall.Dollars(budget.Left()), "when", q.Voice.Moment(budget.Resets.UTC())), true
	case errors.As(err, &exceeded) && exceeded.Never:
		return q.Voice.Say("chat.too_long"), true
	case errors.As(err, &exceeded):
		if words, tell := r.WaitWords(q, hall.WaitChat, exceeded.RetryAfter); tell {
			return q.Voice.Say("chat.limited", "wait", words), true
		}
		return "", true
	case errors.Is(err, errAskAgain):
		return q.Voice.Say("group.ask_again"), true
	case errors.Is(err, billing.ErrAccountInactive):
		return q.Voice.Say("account.closed"), true
	case errors.Is(err, llm.ErrModelUnknown):
		return q.Voice.Say("chat.no_model"), true
	case errors.As(err, &invalid):
		return q.Voice.Say("chat.too_long"), true
	case errors.As(err, &upstream), errors.Is(err, errTooLong):
		return q.Voice.Say("chat.upstream"), true
	}
	return "", false
}
