package talk

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// Buttons of a persona: this and a word.
const (
	buttonPersona     = "persona:"
	personaRemove     = "remove"
	personaEverywhere = "all"
)

// personaOf is what models are told before a person's conversation.
func personaOf(k talk, s billing.Settings) string { return cmp.Or(k.persona, s.Persona) }

// ShowPersona shows the persona, or sets the topic's.
func (r *Room) ShowPersona(ctx context.Context, q hall.Request) error {
	at := topic{q.Chat.ID, q.Thread}
	persona := strings.TrimSpace(q.Args)
	if persona == "" {
		k, err := r.turns.Talk(ctx, at)
		if err != nil {
			return err
		}
		return r.showPersona(ctx, q, personaOf(k, q.Settings))
	}
	if n := utf8.RuneCountInString(persona); n > billing.MaxPersona {
		return r.Say(ctx, q, q.Voice.Say("talk.persona_long", "n", n, "most", billing.MaxPersona))
	}
	if err := r.turns.Choose(ctx, at, choicePersona, persona); err != nil {
		return err
	}
	return r.showPersona(ctx, q, persona)
}

// showPersona says what models are told, with buttons to change that.
func (r *Room) showPersona(ctx context.Context, q hall.Request, persona string) error {
	if persona == "" {
		return r.Say(ctx, q, q.Voice.Say("talk.persona_none"))
	}
	rows := [][]models.InlineKeyboardButton{{{Text: q.Voice.Say("talk.persona_remove"), CallbackData: buttonPersona + personaRemove}}}
	if persona != q.Settings.Persona {
		rows = append(rows, []models.InlineKeyboardButton{{Text: q.Voice.Say("talk.persona_everywhere"), CallbackData: buttonPersona + personaEverywhere}})
	}
	_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread,
		Text: q.Voice.Say("talk.persona_now", "persona", persona), Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: rows}})
	return err
}

// pressPersona removes the persona, or makes it the person's own for all conversations
// that have none.
func (r *Room) pressPersona(ctx context.Context, p hall.Press) error {
	at := topic{p.Chat.ID, p.Thread}
	k, err := r.turns.Talk(ctx, at)
	if err != nil {
		return err
	}
	said := p.Voice.Say("talk.persona_removed")
	switch {
	case p.Data == personaEverywhere:
		persona := personaOf(k, p.Settings)
		if _, err := r.ChangeFor(ctx, p.Request, func(s *billing.Settings) { s.Persona = persona }); err != nil {
			return err
		}
		said = p.Voice.Say("talk.persona_default")
	case k.persona != "":
		if err := r.turns.Choose(ctx, at, choicePersona, ""); err != nil {
			return err
		}
	case p.Settings.Persona != "":
		if _, err := r.ChangeFor(ctx, p.Request, func(s *billing.Settings) { s.Persona = "" }); err != nil {
			return err
		}
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	if p.Shown == nil {
		return r.Say(ctx, p.Request, said)
	}
	return r.Sender.Edit(ctx, p.Shown.ID, bot.Message{ChatID: p.Chat.ID, Text: said})
}
