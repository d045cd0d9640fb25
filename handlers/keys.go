package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
)

const (
	keyNameLimit  = 64
	keysShown     = 50
	revokePrefix  = "revoke:"
	defaultKey    = "telegram"
	buttonRevoke  = "Revoke “%s”"
	keyLine       = "\n• %s  %s  made %s"
	keyDate       = "2 Jan 2006"
	buttonNameMax = 32
)

// newKey makes a key and shows it once. When the process died after making a key
// and before this update was done, nobody may have seen that key: it is revoked and
// replaced, so that no live key exists that its owner does not hold.
func (r *Router) newKey(ctx context.Context, q request) error {
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if err := r.revokeUnseen(ctx, q, account.ID); err != nil {
		return err
	}
	name := clip(strings.Join(strings.Fields(q.args), " "), keyNameLimit)
	if name == "" {
		name = defaultKey
	}
	key, secret, err := r.Keys.Create(ctx, billing.KeySpec{AccountID: account.ID, Name: name, By: billing.OfAccount(account.ID)})
	if err != nil {
		return fmt.Errorf("create key: %w", err)
	}
	if err := r.turns.MarkEffect(ctx, q.chat.ID, q.update, strconv.FormatInt(key.ID, 10)); err != nil {
		return err
	}
	text := fmt.Sprintf(textNewKey, key.Name, secret, r.BaseURL)
	_, err = r.Sender.Send(ctx, bot.Message{
		ChatID:   q.chat.ID,
		ThreadID: q.thread,
		Text:     text,
		Entities: []models.MessageEntity{codeEntity(text, secret)},
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: "Copy key", CopyText: &models.CopyTextButton{Text: secret}},
		}}},
	})
	return err
}

func (r *Router) revokeUnseen(ctx context.Context, q request, account int64) error {
	effect, marked, err := r.turns.Effect(ctx, q.chat.ID, q.update)
	if err != nil || !marked {
		return err
	}
	id, err := strconv.ParseInt(effect, 10, 64)
	if err != nil {
		return fmt.Errorf("effect of update %d: %w", q.update, err)
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
		Offset: utf16Len(before),
		Length: utf16Len(part),
	}
}

func utf16Len(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

func (r *Router) keys(ctx context.Context, q request) error {
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text, keyboard, err := r.keyList(ctx, account.ID)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text, Keyboard: keyboard})
	return err
}

// keyList is the text and the revoke buttons of an account's live keys.
func (r *Router) keyList(ctx context.Context, account int64) (string, *models.InlineKeyboardMarkup, error) {
	keys, err := r.Keys.List(ctx, account)
	if err != nil {
		return "", nil, fmt.Errorf("list keys: %w", err)
	}
	text := strings.Builder{}
	text.WriteString(textKeys)
	var rows [][]models.InlineKeyboardButton
	for _, key := range keys {
		if !key.RevokedAt.IsZero() || len(rows) == keysShown {
			continue
		}
		fmt.Fprintf(&text, keyLine, key.Name, key.Hint, key.CreatedAt.Format(keyDate))
		rows = append(rows, []models.InlineKeyboardButton{{
			Text:         fmt.Sprintf(buttonRevoke, clip(key.Name, buttonNameMax)),
			CallbackData: revokePrefix + strconv.FormatInt(key.ID, 10),
		}})
	}
	if len(rows) == 0 {
		return textNoKeys, nil, nil
	}
	return text.String(), &models.InlineKeyboardMarkup{InlineKeyboard: rows}, nil
}

// pressRevoke ends a key.
func (r *Router) pressRevoke(ctx context.Context, p pressed) error {
	query := p.query
	keyID, err := strconv.ParseInt(p.data, 10, 64)
	if err != nil {
		return r.Sender.AnswerCallback(ctx, query.ID, textKeyGone)
	}
	account, err := r.account(ctx, p.request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	answer := textKeyGone
	switch key, err := r.revoke(ctx, account.ID, keyID); {
	case err == nil:
		answer = fmt.Sprintf(textKeyRevoked, clip(key.Name, buttonNameMax))
	case !errors.Is(err, billing.ErrKeyUnknown):
		return fmt.Errorf("revoke key: %w", err)
	}
	if err := r.Sender.AnswerCallback(ctx, query.ID, answer); err != nil {
		return err
	}
	return r.refreshKeys(ctx, query, account.ID)
}

// revoke ends the account's key and returns what it was.
func (r *Router) revoke(ctx context.Context, account, keyID int64) (billing.Key, error) {
	keys, err := r.Keys.List(ctx, account)
	if err != nil {
		return billing.Key{}, err
	}
	for _, key := range keys {
		if key.ID == keyID && key.RevokedAt.IsZero() {
			return key, r.Keys.Revoke(ctx, account, keyID, billing.OfAccount(account))
		}
	}
	return billing.Key{}, billing.ErrKeyUnknown
}

// refreshKeys redraws the list under the pressed button.
func (r *Router) refreshKeys(ctx context.Context, query *models.CallbackQuery, account int64) error {
	shown := query.Message.Message
	if shown == nil {
		return nil // too old for Telegram to say what it was
	}
	text, keyboard, err := r.keyList(ctx, account)
	if err != nil {
		return err
	}
	return r.Sender.Edit(ctx, shown.ID, bot.Message{ChatID: shown.Chat.ID, Text: text, Keyboard: keyboard})
}
