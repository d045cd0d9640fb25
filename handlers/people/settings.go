package people

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// Buttons of settings: this alone shows all, with a setting's name its choices; a value
// behind the name chooses it, so that a press that comes twice changes nothing.
const (
	buttonSettings = "set:"
	settingEquals  = "="
	settingModel   = "model" // those two are shown by their own commands
	settingPersona = "persona"
	backSign       = "‹ "
	chosenSign     = "✓ "
)

// ShowSettings shows a person's settings, or sets the zone that is named.
func (r *Room) ShowSettings(ctx context.Context, q hall.Request) error {
	if zone := strings.TrimSpace(q.Args); zone != "" {
		return r.setZone(ctx, q, zone)
	}
	_, err := r.Sender.Send(ctx, r.settingsPage(q, ""))
	return err
}

// setZone takes a zone by its name, for those that no button has.
func (r *Room) setZone(ctx context.Context, q hall.Request, zone string) error {
	if zone == "UTC" {
		zone = ""
	}
	changed, err := r.ChangeFor(ctx, q, func(s *billing.Settings) { s.Zone = zone })
	if errors.Is(err, billing.ErrSettings) {
		return r.Say(ctx, q, q.Voice.Say("settings.zone_unknown"))
	}
	if err != nil {
		return err
	}
	return r.Say(ctx, changed, changed.Voice.Say("settings.zone_set", "zone", zoneLabel(changed.Settings.Zone, r.Now())))
}

// pressSettings shows settings or a setting's choices, or takes a choice, in the message
// whose button was pressed.
func (r *Room) pressSettings(ctx context.Context, p hall.Press) error {
	name, value, chosen := strings.Cut(p.Data, settingEquals)
	q := p.Request
	switch name {
	case settingModel:
		return errors.Join(r.chats.ShowModels(ctx, q), r.Sender.AnswerCallback(ctx, p.Query.ID, ""))
	case settingPersona:
		return errors.Join(r.chats.ShowPersona(ctx, q), r.Sender.AnswerCallback(ctx, p.Query.ID, ""))
	}
	page, words := name, ""
	if s, found := r.setting(q, name); chosen && found && s.has(value) {
		var err error
		if q, err = r.ChangeFor(ctx, q, func(to *billing.Settings) { s.set(to, value) }); err != nil {
			return err
		}
		page, words = "", q.Voice.Say("settings.saved")
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, words); err != nil {
		return err
	}
	shown := r.settingsPage(q, page)
	if p.Shown == nil {
		_, err := r.Sender.Send(ctx, shown)
		return err
	}
	return r.Sender.Edit(ctx, p.Shown.ID, shown)
}

// setting is one of a request's settings by its name.
func (r *Room) setting(q hall.Request, name string) (setting, bool) {
	all := r.settingsOffered(q)
	i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return all[i], true
}

// settingsPage shows the choices of a setting, or all settings with what holds.
func (r *Room) settingsPage(q hall.Request, name string) bot.Message {
	m := bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread}
	var rows [][]models.InlineKeyboardButton
	if s, found := r.setting(q, name); found && s.help != "" {
		m.Text = q.Voice.Say(s.help)
		for chunk := range slices.Chunk(s.choices, s.columns) {
			var row []models.InlineKeyboardButton
			for _, c := range chunk {
				mark := ""
				if c.value == s.now {
					mark = chosenSign
				}
				row = append(row, models.InlineKeyboardButton{Text: mark + c.label, CallbackData: buttonSettings + s.name + settingEquals + c.value})
			}
			rows = append(rows, row)
		}
		rows = append(rows, []models.InlineKeyboardButton{{Text: backSign + q.Voice.Say("settings.back"), CallbackData: buttonSettings}})
	} else {
		m.Text = q.Voice.Say("settings.head")
		rows = r.settingsRows(q)
	}
	m.Keyboard = &models.InlineKeyboardMarkup{InlineKeyboard: rows}
	return m
}

// settingsRows are a button for each setting. One of two choices changes at once.
func (r *Room) settingsRows(q hall.Request) (rows [][]models.InlineKeyboardButton) {
	button := func(name, value, data string) {
		rows = append(rows, []models.InlineKeyboardButton{{
			Text: q.Voice.Say("settings.button", "name", name, "value", value), CallbackData: buttonSettings + data,
		}})
	}
	for _, s := range r.settingsOffered(q) {
		data := s.name
		if other, is := s.other(); is {
			data += settingEquals + other
		}
		button(q.Voice.Say(s.key), s.label(), data)
	}
	model := q.Settings.Model
	if model == "" {
		model = r.Model
	}
	button(q.Voice.Say("settings.model"), hall.Clip(model, hall.ButtonNameMax), settingModel)
	persona := q.Voice.Say("settings.none")
	if q.Settings.Persona != "" {
		persona = hall.Clip(q.Settings.Persona, hall.ButtonNameMax)
	}
	button(q.Voice.Say("settings.persona"), persona, settingPersona)
	return rows
}
