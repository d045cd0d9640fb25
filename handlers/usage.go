package handlers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
)

const (
	buttonUsage  = "usage:"
	dayForm      = "2006-01-02"
	monthForm    = "2006-01"
	dayShown     = "2 Jan 2006"
	monthShown   = "January 2006"
	modelsListed = 30
)

// span is a day or a month in UTC.
type span struct {
	from  time.Time
	month bool
}

func monthOf(t time.Time) span {
	t = t.UTC()
	return span{from: time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC), month: true}
}

func dayOf(t time.Time) span {
	return span{from: t.UTC().Truncate(24 * time.Hour)}
}

// parseSpan reads a day or a month; nothing is today.
func parseSpan(text string, now time.Time) (s span, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return dayOf(now), true
	}
	if day, err := time.Parse(dayForm, text); err == nil {
		return span{from: day}, true
	}
	month, err := time.Parse(monthForm, text)
	return span{from: month, month: true}, err == nil
}

// step is the span that many before or after.
func (s span) step(n int) span {
	if s.month {
		s.from = s.from.AddDate(0, n, 0)
	} else {
		s.from = s.from.AddDate(0, 0, n)
	}
	return s
}

func (s span) data() string {
	if s.month {
		return buttonUsage + s.from.Format(monthForm)
	}
	return buttonUsage + s.from.Format(dayForm)
}

func (s span) String() string {
	if s.month {
		return s.from.Format(monthShown)
	}
	return s.from.Format(dayShown)
}

// usage is the receipt of a day's spending.
func (r *Router) usage(ctx context.Context, q request) error {
	s, ok := parseSpan(q.args, r.now())
	if !ok {
		return r.say(ctx, q, textUsageForm)
	}
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text, keyboard, err := r.spending(ctx, account.ID, s)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text, Keyboard: keyboard})
	return err
}

// pressUsage shows another day or month in the same message.
func (r *Router) pressUsage(ctx context.Context, p pressed) error {
	s, ok := parseSpan(p.data, r.now())
	if !ok || p.shown == nil {
		return r.Sender.AnswerCallback(ctx, p.query.ID, "")
	}
	account, err := r.account(ctx, p.request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text, keyboard, err := r.spending(ctx, account.ID, s)
	if err != nil {
		return err
	}
	if err := r.Sender.AnswerCallback(ctx, p.query.ID, ""); err != nil {
		return err
	}
	return r.Sender.Edit(ctx, p.shown.ID, bot.Message{ChatID: p.chat.ID, Text: text, Keyboard: keyboard})
}

func (r *Router) spending(ctx context.Context, account int64, s span) (string, *models.InlineKeyboardMarkup, error) {
	spent, err := r.spent(ctx, account, s, r.now())
	if err != nil {
		return "", nil, err
	}
	return spendingText(spent, s), spanButtons(s, r.now()), nil
}

// spendingText lists what was paid by model; its sum is the ledger's.
func spendingText(spent []billing.Spending, s span) string {
	if len(spent) == 0 {
		return fmt.Sprintf(textUsageNone, s)
	}
	var text strings.Builder
	fmt.Fprintf(&text, textUsage, s)
	var calls, estimated, nano, rest int64
	for i, m := range spent {
		calls, estimated, nano = calls+m.Calls, estimated+m.Estimated, nano+m.Nano
		if i < modelsListed {
			fmt.Fprintf(&text, textUsageModel, clip(m.Model, 64), dollars(m.Nano), grouped(m.Calls), grouped(m.Prompt), grouped(m.Answered))
		} else {
			rest += m.Nano
		}
	}
	if more := len(spent) - modelsListed; more > 0 {
		fmt.Fprintf(&text, textUsageRest, more, dollars(rest))
	}
	fmt.Fprintf(&text, textUsageSum, dollars(nano), grouped(calls))
	if estimated > 0 {
		fmt.Fprintf(&text, textUsageEstimated, grouped(estimated))
	}
	return text.String()
}

// spanButtons lead to the spans beside this one, but not into the future.
func spanButtons(s span, now time.Time) *models.InlineKeyboardMarkup {
	button := func(text string, to span) models.InlineKeyboardButton {
		return models.InlineKeyboardButton{Text: text, CallbackData: to.data()}
	}
	beside := []models.InlineKeyboardButton{button("‹ "+s.step(-1).String(), s.step(-1))}
	if next := s.step(1); !next.from.After(now) {
		beside = append(beside, button(next.String()+" ›", next))
	}
	other := button("Today", dayOf(now))
	if !s.month {
		month := monthOf(s.from)
		other = button(month.String(), month)
	}
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{beside, {other}}}
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
