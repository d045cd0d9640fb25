package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

const (
	keyNameLimit = 64
	keysShown    = 50
	revokePrefix = "revoke:"
	defaultKey   = "telegram"
	keysRoom     = 3900 // UTF-16 units of a list, which Telegram takes 4096 of
)

// NewKey makes a key and shows it once. When the process died after making a key
// and before this update was done, nobody may have seen that key: it is revoked and
// replaced, so that no live key exists that its owner does not hold.
func (r *Room) NewKey(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if err := r.revokeUnseen(ctx, q, account.ID); err != nil {
		return err
	}
	name := hall.Clip(strings.Join(strings.Fields(q.Args), " "), keyNameLimit)
	if name == "" {
		name = defaultKey
	}
	key, secret, err := r.Keys.Create(ctx, billing.KeySpec{AccountID: account.ID, Name: name, By: billing.OfAccount(account.ID)})
	if err != nil {
		return fmt.Errorf("create key: %w", err)
	}
	if err := r.MarkEffect(ctx, q.Chat.ID, q.Update, strconv.FormatInt(key.ID, 10)); err != nil {
		return err
	}
	text := q.Voice.Say("keys.new", "name", key.Name, "secret", secret, "url", r.BaseURL)
	_, err = r.Sender.Send(ctx, bot.Message{
		ChatID:   q.Chat.ID,
		ThreadID: q.Thread,
		Text:     text,
		Entities: []models.MessageEntity{codeEntity(text, secret)},
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: q.Voice.Say("keys.copy"), CopyText: &models.CopyTextButton{Text: secret}}, r.copyURL(q.Voice),
		}}},
	})
	return err
}

// copyURL is the button that copies what goes into an SDK beside a key.
func (r *Room) copyURL(voice texts.Voice) models.InlineKeyboardButton {
	return models.InlineKeyboardButton{Text: voice.Say("keys.copy_url"), CopyText: &models.CopyTextButton{Text: r.BaseURL}}
}

func (r *Room) revokeUnseen(ctx context.Context, q hall.Request, account int64) error {
	effect, marked, err := r.Effect(ctx, q.Chat.ID, q.Update)
	if err != nil || !marked {
		return err
	}
	id, err := strconv.ParseInt(effect, 10, 64)
	if err != nil {
		return fmt.Errorf("effect of update %d: %w", q.Update, err)
	}
	if err := r.Keys.Revoke(ctx, account, id, billing.OfAccount(account)); err != nil && !errors.Is(err, billing.ErrKeyUnknown) {
		return fmt.Errorf("revoke unseen key: %w", err)
	}
	return nil
}

// codeEntity marks part of text as code, with Telegram's UTF-16 offsets.
func codeEntity(text, part string) models.MessageEntity {
	before, _, _ := strings.Cut(text, part)
	return models.MessageEntity{
		Type:   models.MessageEntityTypeCode,
		Offset: hall.UTF16Len(before),
		Length: hall.UTF16Len(part),
	}
}

// ListKeys shows an account's live keys, with buttons that end them.
func (r *Room) ListKeys(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text, keyboard, err := r.keyList(ctx, q, account.ID)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text, Keyboard: keyboard})
	return err
}

// keyList is the text and the revoke buttons of an account's live keys.
func (r *Room) keyList(ctx context.Context, q hall.Request, account int64) (string, *models.InlineKeyboardMarkup, error) {
	keys, err := r.Keys.List(ctx, account)
	if err != nil {
		return "", nil, fmt.Errorf("list keys: %w", err)
	}
	text := strings.Builder{}
	voice, at := q.Voice, q.Settings.Location()
	head := voice.Say("keys.list")
	text.WriteString(head)
	var rows [][]models.InlineKeyboardButton
	length, shown, more := hall.UTF16Len(head), 0, int64(0)
	for _, key := range keys {
		if !key.RevokedAt.IsZero() {
			continue
		}
		entry := keyEntry(voice, key, voice.Day(key.CreatedAt.In(at)), r.Now())
		if length += hall.UTF16Len(entry); more > 0 || shown == keysShown || length > keysRoom {
			more++
			continue
		}
		text.WriteString(entry)
		if shown++; key.Chat != 0 {
			continue // /pay ends it
		}
		rows = append(rows, []models.InlineKeyboardButton{{
			Text:         voice.Say("keys.revoke", "name", hall.Clip(key.Name, hall.ButtonNameMax)),
			CallbackData: revokePrefix + strconv.FormatInt(key.ID, 10),
		}})
	}
	if shown == 0 {
		return voice.Say("keys.none"), nil, nil
	}
	if more > 0 {
		text.WriteString(voice.Say("keys.more", "n", more))
	}
	rows = append(rows, []models.InlineKeyboardButton{r.copyURL(voice)})
	return text.String(), &models.InlineKeyboardMarkup{InlineKeyboard: rows}, nil
}

// keyEntry is a key's line, made on that day.
func keyEntry(voice texts.Voice, key billing.Key, day string, now time.Time) string {
	if key.Chat != 0 {
		return voice.Say("keys.group", "title", key.Name, "cap", hall.Dollars(key.Budget.DayNano), "day", day)
	}
	return voice.Say("keys.line", "name", key.Name, "hint", key.Hint, "day", day) + keyBounds(voice, key, now)
}

// pressRevoke ends a key.
func (r *Room) pressRevoke(ctx context.Context, p hall.Press) error {
	query := p.Query
	keyID, err := strconv.ParseInt(p.Data, 10, 64)
	if err != nil {
		return r.Sender.AnswerCallback(ctx, query.ID, p.Voice.Say("keys.gone"))
	}
	account, err := r.Account(ctx, p.Request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	answer := p.Voice.Say("keys.gone")
	switch key, err := r.revoke(ctx, account.ID, keyID); {
	case err == nil:
		answer = p.Voice.Say("keys.revoked", "name", hall.Clip(key.Name, hall.ButtonNameMax))
	case !errors.Is(err, billing.ErrKeyUnknown):
		return fmt.Errorf("revoke key: %w", err)
	}
	if err := r.Sender.AnswerCallback(ctx, query.ID, answer); err != nil {
		return err
	}
	return r.refreshKeys(ctx, p, account.ID)
}

// revoke ends the account's key and returns what it was.
func (r *Room) revoke(ctx context.Context, account, keyID int64) (billing.Key, error) {
	keys, err := r.Keys.List(ctx, account)
	if err != nil {
		return billing.Key{}, err
	}
	for _, key := range keys {
		if key.ID == keyID && key.Chat == 0 && key.RevokedAt.IsZero() {
			return key, r.Keys.Revoke(ctx, account, keyID, billing.OfAccount(account))
		}
	}
	return billing.Key{}, billing.ErrKeyUnknown
}

// refreshKeys redraws the list under the pressed button.
func (r *Room) refreshKeys(ctx context.Context, p hall.Press, account int64) error {
	if p.Shown == nil {
		return nil // too old for Telegram to say what it was
	}
	text, keyboard, err := r.keyList(ctx, p.Request, account)
	if err != nil {
		return err
	}
	return r.Sender.Edit(ctx, p.Shown.ID, bot.Message{ChatID: p.Chat.ID, Text: text, Keyboard: keyboard})
}
