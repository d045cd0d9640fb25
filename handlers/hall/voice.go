package hall

import (
	"context"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/texts"
)

// settingsIn bounds what reading settings may take before the defaults hold: with Postgres
// away, chats go on.
const settingsIn = 500 * time.Millisecond

// Addressed is the request with its person's settings and the voice that speaks to them.
func (h *Hall) Addressed(ctx context.Context, q Request) Request {
	q.Settings = h.SettingsOf(ctx, q.From.ID)
	language := q.Settings.Language
	if language == "" {
		language = q.From.LanguageCode
	}
	q.Voice = h.Texts.Voice(language)
	return q
}

// SettingsOf reads what a person chose, from the cache where that has it. Nothing fails
// with it: what cannot be read now is the default. The value is shared.
func (h *Hall) SettingsOf(ctx context.Context, person int64) billing.Settings {
	ctx, cancel := context.WithTimeout(ctx, settingsIn)
	defer cancel()
	read := func(ctx context.Context) (billing.Settings, error) { return h.Settings.ReadByTelegram(ctx, person) }
	var settings billing.Settings
	var err error
	if h.kept == nil {
		settings, err = read(ctx)
	} else {
		settings, err = h.kept.settings.Fetch(ctx, profileKey(person), read)
	}
	if err != nil {
		h.Log.DebugContext(ctx, "settings not read: the defaults hold", "error", err)
		return billing.Settings{}
	}
	return settings
}

// ChangeFor lets change edit the settings of whom a request is from, opening their
// account on first contact, and returns the request with them. The change holds on all
// instances at once. change must be repeatable.
func (h *Hall) ChangeFor(ctx context.Context, q Request, change func(*billing.Settings)) (Request, error) {
	account, err := h.Account(ctx, q)
	if err != nil {
		return q, err
	}
	settings, err := h.Settings.Change(ctx, account.ID, change)
	if err != nil {
		return q, err
	}
	if err := h.KeepSettings(ctx, q.From.ID, settings); err != nil {
		return q, err
	}
	return h.Addressed(ctx, q), nil
}

// Addressee is who an account's owner is when nobody has asked anything: the voice that
// speaks to them, and what they chose. What cannot be read now is the default: a notice is
// better told in English than not at all.
func (h *Hall) Addressee(ctx context.Context, account int64) (texts.Voice, billing.Settings) {
	settings, err := h.Settings.Read(ctx, account)
	if err != nil {
		h.Log.DebugContext(ctx, "settings not read: the defaults hold", "account_id", account, "error", err)
	}
	return h.VoiceOf(ctx, account), settings
}

// VoiceOf is the voice that speaks to an account's owner when nobody has asked anything.
func (h *Hall) VoiceOf(ctx context.Context, account int64) texts.Voice {
	language, err := h.Settings.Language(ctx, account)
	if err != nil {
		h.Log.DebugContext(ctx, "language not read: it is English", "account_id", account, "error", err)
	}
	return h.Texts.Voice(language)
}
