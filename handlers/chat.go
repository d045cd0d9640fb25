package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

// chat passes a message to the model and streams the answer into the chat.
//
// The hold is named after the update, and the finished answer is remembered under
// the update before it is sent: whoever dies in between, a redelivery charges once
// and sends the same answer.
func (r *Router) chat(ctx context.Context, q request, text string) error {
	sent, done, err := r.turns.Effect(ctx, q.chat.ID, q.update)
	if err != nil {
		return err
	}
	if done {
		return r.say(ctx, q, sent)
	}
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	turns, err := r.turns.Recent(ctx, q.chat.ID)
	if err != nil {
		return err
	}
	live := r.Sender.Live(q.chat.ID, q.thread, q.private())
	defer live.Close()
	answer, err := r.Completer.Complete(ctx, llm.ChatCall{
		AccountID:  account.ID,
		HoldID:     "tg-" + strconv.FormatInt(q.update, 10),
		LimitScope: "account",
		LimitID:    strconv.FormatInt(account.ID, 10),
		Model:      r.Model,
		Messages:   append(turns, llm.Message{Role: "user", Content: text}),
		MaxOutput:  r.MaxOutput,
	}, live.Update)
	if err != nil && answer.Text == "" {
		sentence, known := r.explain(q, err)
		if known && sentence == "" {
			return nil
		}
		if !known {
			return err
		}
		return finish(ctx, live, q, sentence)
	}
	r.spentMore(ctx, account.ID)
	final := compose(answer, err != nil)
	failpoint.Here("chat.settled")
	if err := r.turns.Remember(ctx, q.chat.ID, q.update, text, answer.Text, final); err != nil {
		return err
	}
	failpoint.Here("chat.remembered")
	return finish(ctx, live, q, final)
}

func finish(ctx context.Context, live *bot.Live, q request, text string) error {
	return live.Finish(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text})
}

// compose is the final message: the answer, whether it was cut short, and its cost.
func compose(answer llm.ChatAnswer, cut bool) string {
	text := strings.TrimSpace(answer.Text)
	if text == "" {
		text = textEmpty
	}
	if cut {
		text += textCutShort
	}
	return text + fmt.Sprintf(textFooter, dollars(answer.CostNano), dollars(answer.AvailableNano))
}

// explain turns a refusal into a sentence, or into none where it was said already; what
// it does not know is worth a retry.
func (r *Router) explain(q request, err error) (string, bool) {
	var (
		poor     *billing.PoorError
		budget   *billing.BudgetError
		exceeded *ratelimit.ExceededError
		upstream *llm.UpstreamError
		invalid  *llm.RequestError
	)
	switch {
	case errors.As(err, &poor):
		return fmt.Sprintf(textPoor, dollars(poor.Need), dollars(poor.Available)), true
	case errors.As(err, &budget):
		return fmt.Sprintf(textBudget, dollars(budget.Need), dollars(budget.Limit), budget.Period,
			dollars(budget.Left()), budget.Resets.Format("2 January 15:04")), true
	case errors.As(err, &exceeded) && exceeded.Never:
		return textTooLong, true
	case errors.As(err, &exceeded):
		if words, tell := r.waitWords(q.from.ID, waitChat, exceeded.RetryAfter); tell {
			return fmt.Sprintf(textLimited, words), true
		}
		return "", true
	case errors.Is(err, billing.ErrAccountInactive):
		return textClosed, true
	case errors.Is(err, llm.ErrModelUnknown):
		return textNoModel, true
	case errors.As(err, &invalid):
		return textTooLong, true
	case errors.As(err, &upstream):
		return textUpstream, true
	}
	return "", false
}
