package till

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/chart"
)

const (
	buttonUsage  = "usage:"
	captionRoom  = 1000 // UTF-16 units of a caption, of which Telegram takes 1024
	modelNameMax = 48   // bytes
	groupsNamed  = 3    // that were paid for, the dearest
	chartName    = "usage.png"
)

// Usage is the receipt of what was spent today, or in another span, with a chart.
func (r *Room) Usage(ctx context.Context, q hall.Request) error {
	s, ok := parseSpan(q.Args, r.localNow(q))
	if !ok {
		return r.Say(ctx, q, q.Voice.Say("spent.form"))
	}
	m, err := r.spending(ctx, q, s)
	if err != nil {
		return err
	}
	m.ThreadID = q.Thread
	_, err = r.Sender.Send(ctx, m)
	return err
}

// pressUsage shows another span in the same message.
func (r *Room) pressUsage(ctx context.Context, p hall.Press) error {
	s, ok := parseSpan(p.Data, r.localNow(p.Request))
	if !ok || p.Shown == nil {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, "")
	}
	m, err := r.spending(ctx, p.Request, s)
	if err != nil {
		return err
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	return r.Sender.Edit(ctx, p.Shown.ID, m)
}

// localNow is the time in the zone of whom a request is from.
func (r *Room) localNow(q hall.Request) time.Time { return r.Now().In(q.Settings.Location()) }

// spending is the message that shows a span.
func (r *Room) spending(ctx context.Context, q hall.Request, s span) (bot.Message, error) {
	account, err := r.Account(ctx, q)
	if err != nil {
		return bot.Message{}, fmt.Errorf("account: %w", err)
	}
	now := r.localNow(q)
	parts, err := r.spent(ctx, account.ID, s, now)
	if err != nil {
		return bot.Message{}, err
	}
	groups, err := r.Ledger.GroupSpending(ctx, account.ID, s.from, s.step(1).from)
	if err != nil {
		return bot.Message{}, err
	}
	byModel := byModels(parts)
	picture, err := spendingChart(q.Voice, byModel, parts, s)
	if err != nil {
		return bot.Message{}, err
	}
	return bot.Message{ChatID: q.Chat.ID, Text: spendingText(q.Voice, byModel, groups, s), Keyboard: spanButtons(q.Voice, s, now),
		Photo: &bot.File{Name: chartName, Data: picture}}, nil
}

// spent is what an account paid in a span by its parts and models. This month's is at most
// a minute old.
func (r *Room) spent(ctx context.Context, account int64, s span, now time.Time) ([]billing.Consumed, error) {
	read := func(ctx context.Context) ([]billing.Consumed, error) {
		return r.Ledger.Consumption(ctx, billing.ConsumptionQuery{
			UsageFilter: billing.UsageFilter{AccountID: account}, Edges: s.edges(), ByModel: true,
		})
	}
	if !s.is(monthOf(now)) {
		return read(ctx)
	}
	return r.SpentIn(ctx, account, s.from, read)
}

// byModels sums up each model's parts, the dearest model first.
func byModels(parts []billing.Consumed) []billing.Consumed {
	at := map[string]int{}
	var sums []billing.Consumed
	for _, p := range parts {
		i, known := at[p.Model]
		if !known {
			i = len(sums)
			at[p.Model] = i
			sums = append(sums, billing.Consumed{Model: p.Model})
		}
		m := &sums[i]
		m.Add(p.UsageSum)
	}
	slices.SortStableFunc(sums, func(a, b billing.Consumed) int {
		return cmp.Or(cmp.Compare(b.Nano, a.Nano), cmp.Compare(a.Model, b.Model))
	})
	return sums
}

// spendingText lists what was paid by model; its sum is the ledger's. It fits a caption:
// models for which there is no room are summed up.
func spendingText(voice texts.Voice, spent []billing.Consumed, groups []billing.GroupSpending, s span) string {
	zone := s.from.Location().String()
	if len(spent) == 0 {
		return voice.Say("spent.none", "span", s.words(voice), "zone", zone)
	}
	var calls, estimated, nano int64
	for _, m := range spent {
		calls, estimated, nano = calls+m.Calls, estimated+m.Estimated, nano+m.Nano
	}
	ends := []string{voice.Say("spent.sum", "cost", hall.Dollars(nano), "calls", calls)}
	if estimated > 0 {
		ends = append(ends, voice.Say("spent.estimated", "n", estimated))
	}
	for i, g := range groups[:min(len(groups), groupsNamed)] {
		if i == 0 {
			ends = append(ends, voice.Say("spent.groups"))
		}
		ends = append(ends, voice.Say("spent.group", "title", hall.Clip(g.Title, modelNameMax), "cost", hall.Dollars(g.Nano)))
	}
	end := strings.Join(ends, "")
	text := voice.Say("spent.head", "span", s.words(voice), "zone", zone)
	left := nano
	for i, m := range spent {
		line := voice.Say("spent.model", "model", hall.Clip(m.Model, modelNameMax), "cost", hall.Dollars(m.Nano),
			"calls", m.Calls, "in", m.Prompt, "out", m.Completion)
		rest := voice.Say("spent.rest", "n", len(spent)-i, "cost", hall.Dollars(left))
		if hall.UTF16Len(text+line+rest+end) > captionRoom {
			text += rest
			break
		}
		text += line
		left -= m.Nano
	}
	return text + end
}

// spendingChart draws the span's parts, the dearest models apart.
func spendingChart(voice texts.Voice, spent, parts []billing.Consumed, s span) ([]byte, error) {
	labels := s.labels()
	b := chart.Bars{Labels: labels}
	row := map[string]int{}
	for i, m := range spent {
		row[m.Model] = min(i, chart.SeriesMost-1)
		if i < chart.SeriesMost {
			b.Series = append(b.Series, chart.Series{Name: m.Model, Values: make([]int64, len(labels))})
		}
	}
	if more := len(spent) - chart.SeriesMost; more > 0 {
		b.Series[chart.SeriesMost-1].Name = fmt.Sprintf("+ %d", more+1)
	}
	var highest int64
	sums := make([]int64, len(labels))
	for _, p := range parts {
		if p.Part >= 0 && p.Part < len(labels) {
			b.Series[row[p.Model]].Values[p.Part] += p.Nano
			sums[p.Part] += p.Nano
			highest = max(highest, sums[p.Part])
		}
	}
	b.Unit = axisUnit(voice, highest)
	return b.PNG()
}

// axisUnit writes the amounts of an axis up to the highest: as dollars, as cents where
// those would be all zeros, else as millionths of a dollar.
func axisUnit(voice texts.Voice, highest int64) func(int64) string {
	const cent, hundredthOfACent, millionth = billing.NanoPerUSD / 100, billing.NanoPerUSD / 10_000, billing.NanoPerUSD / 1_000_000
	unit, before, behind := int64(billing.NanoPerUSD), "$", ""
	switch {
	case highest == 0 || highest >= 2*cent:
	case highest >= hundredthOfACent:
		unit, before, behind = cent, "", "¢"
	default:
		unit, before, behind = millionth, "", "µ$"
	}
	return func(nano int64) string {
		return before + voice.Decimal((nano*1000+unit/2)/unit) + behind
	}
}

// spanButtons lead to today, the last days and the spans beside this one, but not into
// the future.
func spanButtons(voice texts.Voice, s span, now time.Time) *models.InlineKeyboardMarkup {
	button := func(text string, to span) models.InlineKeyboardButton {
		return models.InlineKeyboardButton{Text: text, CallbackData: buttonUsage + to.data()}
	}
	week, month := daysTo(now, weekDays), daysTo(now, monthDays)
	rows := [][]models.InlineKeyboardButton{
		{button(voice.Say("spent.today"), dayOf(now)), button(week.words(voice), week), button(month.words(voice), month)},
	}
	var beside []models.InlineKeyboardButton
	if !s.ended {
		beside = append(beside, button("‹ "+s.step(-1).words(voice), s.step(-1)))
		if next := s.step(1); !next.from.After(now) {
			beside = append(beside, button(next.words(voice)+" ›", next))
		}
	}
	if whole := monthOf(s.from); s.days > 0 {
		if s.ended {
			whole = monthOf(now)
		}
		beside = append(beside, button(whole.words(voice), whole))
	}
	return &models.InlineKeyboardMarkup{InlineKeyboard: append(rows, beside)}
}
