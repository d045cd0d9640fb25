package till

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

const (
	payOff       = "off"
	buttonPayOff = "payoff:" // and the id of a group's key
)

// CommandPay is about who pays for a group.
const CommandPay = "pay"

// Pay says in a group who pays for what is asked there; an administrator's amount or "off"
// changes it.
func (r *Room) Pay(ctx context.Context, q hall.Request) error {
	switch words := strings.ToLower(strings.TrimSpace(q.Args)); words {
	case "":
		return r.showPayer(ctx, q)
	case payOff:
		return r.endPaying(ctx, q)
	default:
		nano, ok := parseDollars(words, billing.GroupCapLeast, billing.GroupCapMost)
		if !ok {
			return r.Say(ctx, q, q.Voice.Say("group.pay.form", "least", hall.Dollars(billing.GroupCapLeast), "most", hall.Dollars(billing.GroupCapMost)))
		}
		return r.beginPaying(ctx, q, nano)
	}
}

func (r *Room) showPayer(ctx context.Context, q hall.Request) error {
	payer, err := r.Keys.GroupPayer(ctx, q.Chat.ID)
	if errors.Is(err, billing.ErrGroupUnpaid) {
		return r.Say(ctx, q, q.Voice.Say("group.pay.none"))
	}
	if err != nil {
		return err
	}
	spent, err := r.Keys.SpentToday(ctx, payer.AccountID, payer.KeyID)
	if err != nil {
		return err
	}
	return r.Say(ctx, q, q.Voice.Say("group.pay.shown", "name", hall.SponsorName(q, payer.Name), "cap", hall.Dollars(payer.DayNano), "spent", hall.Dollars(spent)))
}

// beginPaying lets an administrator's own account pay for the group, up to an amount a day.
func (r *Room) beginPaying(ctx context.Context, q hall.Request, dayNano int64) error {
	may, err := r.Sender.Administers(ctx, q.Chat.ID, q.From.ID)
	if err != nil {
		return err
	}
	if !may {
		return r.Say(ctx, q, q.Voice.Say("group.pay.admins"))
	}
	account, err := r.Payer(ctx, q)
	switch {
	case errors.Is(err, billing.ErrAccountUnknown):
		return r.SayInGroup(ctx, q, q.Voice.Say("group.pay.no_account"), q.Voice.Say("group.start"))
	case err != nil:
		return fmt.Errorf("account: %w", err)
	case account.Status != billing.StatusActive:
		return r.Say(ctx, q, q.Voice.Say("account.closed"))
	}
	err = r.Keys.PayForGroup(ctx, billing.GroupOffer{AccountID: account.ID, Chat: q.Chat.ID, Title: q.Chat.Title, DayNano: dayNano})
	switch {
	case errors.Is(err, billing.ErrGroupPaid):
		payer, err := r.Keys.GroupPayer(ctx, q.Chat.ID)
		if err != nil && !errors.Is(err, billing.ErrGroupUnpaid) { // ended meanwhile
			return err
		}
		return r.Say(ctx, q, q.Voice.Say("group.pay.taken", "name", hall.SponsorName(q, payer.Name)))
	case errors.Is(err, billing.ErrGroupLimit):
		return r.Say(ctx, q, q.Voice.Say("group.pay.limit", "most", billing.GroupsMost))
	case err != nil:
		return fmt.Errorf("pay for a group: %w", err)
	}
	if err := r.ForgetSponsor(ctx, q.Chat.ID); err != nil {
		return err
	}
	return r.Say(ctx, q, q.Voice.Say("group.pay.begun", "name", hall.SponsorName(q, hall.ProfileOf(q).Name), "cap", hall.Dollars(dayNano)))
}

// endPaying lets who pays for a group, or one of its administrators, end that.
func (r *Room) endPaying(ctx context.Context, q hall.Request) error {
	payer, err := r.Keys.GroupPayer(ctx, q.Chat.ID)
	if errors.Is(err, billing.ErrGroupUnpaid) {
		return r.Say(ctx, q, q.Voice.Say("group.pay.none"))
	}
	if err != nil {
		return err
	}
	account, err := r.Payer(ctx, q)
	if err != nil && !errors.Is(err, billing.ErrAccountUnknown) {
		return fmt.Errorf("account: %w", err)
	}
	by := billing.House // an administrator without an account
	if err == nil {
		by = billing.OfAccount(account.ID)
	}
	if may := err == nil && account.ID == payer.AccountID; !may {
		if may, err = r.Sender.Administers(ctx, q.Chat.ID, q.From.ID); err != nil {
			return err
		}
		if !may {
			return r.Say(ctx, q, q.Voice.Say("group.pay.admins"))
		}
	}
	if err := r.Keys.Revoke(ctx, payer.AccountID, payer.KeyID, by); err != nil {
		return err
	}
	if err := r.ForgetSponsor(ctx, q.Chat.ID); err != nil {
		return err
	}
	return r.Say(ctx, q, q.Voice.Say("group.pay.ended", "name", hall.SponsorName(q, payer.Name)))
}

// PaidGroups lists, in private, the groups that somebody pays for, with buttons that end it.
func (r *Room) PaidGroups(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	m, err := r.paidGroupsList(ctx, q, account.ID)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, m)
	return err
}

func (r *Room) paidGroupsList(ctx context.Context, q hall.Request, account int64) (bot.Message, error) {
	m := bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: q.Voice.Say("group.pay.alone")}
	groups, err := r.Keys.GroupsOf(ctx, account)
	if err != nil || len(groups) == 0 {
		return m, err
	}
	m.Text, m.Keyboard = q.Voice.Say("group.pay.list"), &models.InlineKeyboardMarkup{}
	for _, g := range groups {
		spent, err := r.Keys.SpentToday(ctx, account, g.KeyID)
		if err != nil {
			return bot.Message{}, err
		}
		m.Text += q.Voice.Say("group.pay.line", "title", g.Title, "cap", hall.Dollars(g.DayNano), "spent", hall.Dollars(spent))
		m.Keyboard.InlineKeyboard = append(m.Keyboard.InlineKeyboard, []models.InlineKeyboardButton{{
			Text: q.Voice.Say("group.pay.stop", "title", hall.Clip(g.Title, hall.ButtonNameMax)), CallbackData: buttonPayOff + strconv.FormatInt(g.KeyID, 10),
		}})
	}
	return m, nil
}

// pressPayOff ends that somebody pays for a group.
func (r *Room) pressPayOff(ctx context.Context, p hall.Press) error {
	account, err := r.Account(ctx, p.Request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	groups, err := r.Keys.GroupsOf(ctx, account.ID)
	if err != nil {
		return err
	}
	answer := ""
	for _, g := range groups {
		if strconv.FormatInt(g.KeyID, 10) != p.Data {
			continue
		}
		if err := r.Keys.Revoke(ctx, account.ID, g.KeyID, billing.OfAccount(account.ID)); err != nil {
			return err
		}
		if err := r.ForgetSponsor(ctx, g.Chat); err != nil {
			return err
		}
		answer = p.Voice.Say("group.pay.stopped", "title", hall.Clip(g.Title, hall.NameMost))
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, answer); err != nil || p.Shown == nil {
		return err
	}
	m, err := r.paidGroupsList(ctx, p.Request, account.ID)
	if err != nil {
		return err
	}
	return r.Sender.Edit(ctx, p.Shown.ID, m)
}

// Unpay ends that anybody pays for a group where the bot is no more.
func (r *Room) Unpay(ctx context.Context, chat int64) error {
	_, err := r.Keys.EndGroup(ctx, chat, billing.House)
	if err != nil && !errors.Is(err, billing.ErrGroupUnpaid) {
		return err
	}
	return r.ForgetSponsor(ctx, chat)
}

// Left ends that somebody pays for a group who has left it.
func (r *Room) Left(ctx context.Context, m *models.Message) error {
	s, err := r.SponsorOf(ctx, m.Chat.ID)
	if err != nil || s.None() {
		return err
	}
	account, err := r.Accounts.ByTelegram(ctx, m.LeftChatMember.ID)
	if errors.Is(err, billing.ErrAccountUnknown) || err == nil && account.ID != s.Account {
		return nil
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if err := r.Keys.Revoke(ctx, s.Account, s.Key, billing.OfAccount(account.ID)); err != nil {
		return err
	}
	return r.ForgetSponsor(ctx, m.Chat.ID)
}

// MovePayer lets who paid for a group pay for it under its new id.
func (r *Room) MovePayer(ctx context.Context, from, to int64) error {
	if err := r.Keys.MoveGroup(ctx, from, to); err != nil {
		return err
	}
	return errors.Join(r.ForgetSponsor(ctx, from), r.ForgetSponsor(ctx, to))
}
