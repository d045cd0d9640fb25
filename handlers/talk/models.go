package talk

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/llm"
)

// Buttons of the list of models; a model's reference or a page and what was looked for
// follow.
const (
	buttonModel      = "model:"
	buttonModels     = "models:"
	buttonFavourite  = "modelstar:"
	buttonEverywhere = "modelall:"
)

const (
	modelsOnPage = 8
	modelRefMost = 50 // bytes of a model's id in a button, which holds 64
	lookForMost  = 40 // bytes of what was looked for
	modelsButton = 40 // characters of a model's id on its button
)

// chatModel is the model for a person's chat: the topic's, the person's, the house's, the
// first of them that there is.
func (r *Room) chatModel(k talk, s billing.Settings) string {
	for _, id := range []string{k.model, s.Model} {
		if id != "" && r.offered(id) != nil {
			return id
		}
	}
	return r.Model
}

// offered is a model that can be chosen, nil where there is none of that name.
func (r *Room) offered(id string) *llm.Model {
	if r.Catalogue == nil {
		return nil
	}
	m, err := r.Catalogue.Model(id)
	if err != nil || !m.Offers(llm.OperationChat) {
		return nil
	}
	return m
}

// choices are the models whose ids contain what is looked for, the person's favourites
// first.
func (r *Room) choices(s billing.Settings, lookFor string) []*llm.Model {
	if r.Catalogue == nil {
		return nil
	}
	var found []*llm.Model
	for _, m := range r.Catalogue.Models() {
		if m.Offers(llm.OperationChat) && strings.Contains(strings.ToLower(m.ID), strings.ToLower(lookFor)) {
			found = append(found, m)
		}
	}
	rank := func(m *llm.Model) int {
		if slices.Contains(s.Favourites, m.ID) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(found, func(a, b *llm.Model) int { return cmp.Compare(rank(a), rank(b)) })
	return found
}

// ShowModels shows the models, or chooses the one that is named.
func (r *Room) ShowModels(ctx context.Context, q hall.Request) error {
	at := topic{q.Chat.ID, q.Thread}
	lookFor := hall.Clip(strings.TrimSpace(q.Args), lookForMost)
	found := r.choices(q.Settings, lookFor)
	if i := slices.IndexFunc(found, func(m *llm.Model) bool { return strings.EqualFold(m.ID, lookFor) }); i >= 0 {
		found = found[i : i+1]
	}
	switch {
	case len(found) == 0:
		return r.Say(ctx, q, q.Voice.Say("talk.model_unknown", "name", lookFor))
	case lookFor != "" && len(found) == 1:
		may, err := r.mayChoose(ctx, q)
		if err != nil {
			return err
		}
		if !may {
			return r.Say(ctx, q, q.Voice.Say("group.model"))
		}
		if err := r.turns.Choose(ctx, at, choiceModel, found[0].ID); err != nil {
			return err
		}
		lookFor = ""
	}
	k, err := r.turns.Talk(ctx, at)
	if err != nil {
		return err
	}
	text, keyboard := r.modelList(q, k, 0, lookFor)
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, ReplyTo: q.ReplyTo, Text: text, Keyboard: keyboard})
	return err
}

// modelList is a page of the models: the one that answers, and buttons for others.
func (r *Room) modelList(q hall.Request, k talk, page int, lookFor string) (string, *models.InlineKeyboardMarkup) {
	now := r.chatModel(k, q.Settings)
	text := q.Voice.Say("talk.model_now", "model", now)
	if m := r.offered(now); m != nil {
		text += "\n" + q.Voice.Say("talk.model_price", "input", priceOf(q.Voice, m, "input"), "output", priceOf(q.Voice, m, "output"))
	}
	text += "\n\n" + q.Voice.Say("talk.model_choose")
	found := r.choices(q.Settings, lookFor)
	pages := max(1, (len(found)+modelsOnPage-1)/modelsOnPage)
	page = min(max(0, page), pages-1)
	var rows [][]models.InlineKeyboardButton
	for _, m := range found[page*modelsOnPage : min(len(found), (page+1)*modelsOnPage)] {
		rows = append(rows, []models.InlineKeyboardButton{{Text: modelLabel(q.Voice, m, now, q.Settings), CallbackData: buttonModel + modelRef(m.ID)}})
	}
	if pages > 1 {
		turn := func(text string, to int) models.InlineKeyboardButton {
			to = (to + pages) % pages
			return models.InlineKeyboardButton{Text: text, CallbackData: buttonModels + strconv.Itoa(to) + ":" + lookFor}
		}
		here := fmt.Sprintf("%d / %d", page+1, pages)
		rows = append(rows, []models.InlineKeyboardButton{turn("‹", page-1), turn(here, page), turn("›", page+1)})
	}
	if m := r.offered(now); m != nil && q.Private() {
		star := "talk.favourite_add"
		if slices.Contains(q.Settings.Favourites, now) {
			star = "talk.favourite_remove"
		}
		row := []models.InlineKeyboardButton{{Text: q.Voice.Say(star), CallbackData: buttonFavourite + modelRef(now)}}
		if now != cmp.Or(q.Settings.Model, r.Model) {
			row = append(row, models.InlineKeyboardButton{Text: q.Voice.Say("talk.model_everywhere"), CallbackData: buttonEverywhere + modelRef(now)})
		}
		rows = append(rows, row)
	}
	return text, &models.InlineKeyboardMarkup{InlineKeyboard: rows}
}

// modelLabel is a model on its button, with its prices per million tokens.
func modelLabel(v texts.Voice, m *llm.Model, now string, s billing.Settings) string {
	mark := ""
	if m.ID == now {
		mark = "✓ "
	}
	if slices.Contains(s.Favourites, m.ID) {
		mark += "★ "
	}
	return mark + hall.Clip(m.ID, modelsButton) + " · " + priceOf(v, m, "input") + " / " + priceOf(v, m, "output")
}

// priceOf is a price of the catalogue, for people.
func priceOf(v texts.Voice, m *llm.Model, of string) string {
	stated := cmp.Or(m.Prices[of], "0")
	nano, err := billing.ParseUSD(stated)
	if err != nil {
		return "$" + stated
	}
	return v.Dollars(nano)
}

// modelRef names a model in a button: by its id where that fits, else by a mark of it.
func modelRef(id string) string {
	if len(id) <= modelRefMost && !strings.HasPrefix(id, "#") {
		return id
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return "#" + strconv.FormatUint(h.Sum64(), 36)
}

// referred is the model that a button names, nil where it is gone.
func (r *Room) referred(ref string) *llm.Model {
	if !strings.HasPrefix(ref, "#") {
		return r.offered(ref)
	}
	for _, m := range r.choices(billing.Settings{}, "") {
		if modelRef(m.ID) == ref {
			return m
		}
	}
	return nil
}

// pressModel chooses a model for the topic.
func (r *Room) pressModel(ctx context.Context, p hall.Press) error {
	m := r.referred(p.Data)
	if m == nil {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("talk.model_gone"))
	}
	may, err := r.mayChoose(ctx, p.Request)
	if err != nil {
		return err
	}
	if !may {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("group.model"))
	}
	if err := r.turns.Choose(ctx, topic{p.Chat.ID, p.Thread}, choiceModel, m.ID); err != nil {
		return err
	}
	return r.redrawModels(ctx, p, 0, "", p.Voice.Say("talk.model_chosen", "model", m.ID))
}

// pressModels turns a page.
func (r *Room) pressModels(ctx context.Context, p hall.Press) error {
	first, lookFor, _ := strings.Cut(p.Data, ":")
	page, err := strconv.Atoi(first)
	if err != nil {
		page = 0 // of a button that was made up
	}
	return r.redrawModels(ctx, p, page, hall.Clip(lookFor, lookForMost), "")
}

// pressFavourite makes a model a favourite, or no more.
func (r *Room) pressFavourite(ctx context.Context, p hall.Press) error {
	m := r.referred(p.Data)
	if m == nil {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("talk.model_gone"))
	}
	full := false
	q, err := r.ChangeFor(ctx, p.Request, func(s *billing.Settings) {
		full = false
		if i := slices.Index(s.Favourites, m.ID); i >= 0 {
			s.Favourites = slices.Delete(slices.Clone(s.Favourites), i, i+1)
		} else if full = len(s.Favourites) >= billing.MaxFavourites; !full {
			s.Favourites = append(slices.Clone(s.Favourites), m.ID)
		}
	})
	if err != nil {
		return err
	}
	p.Request = q
	said := ""
	if full {
		said = p.Voice.Say("talk.favourites_full", "most", billing.MaxFavourites)
	}
	return r.redrawModels(ctx, p, 0, "", said)
}

// pressEverywhere makes a model the person's own for all conversations that chose none.
func (r *Room) pressEverywhere(ctx context.Context, p hall.Press) error {
	m := r.referred(p.Data)
	if m == nil {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("talk.model_gone"))
	}
	q, err := r.ChangeFor(ctx, p.Request, func(s *billing.Settings) { s.Model = m.ID })
	if err != nil {
		return err
	}
	p.Request = q
	return r.redrawModels(ctx, p, 0, "", p.Voice.Say("talk.model_default", "model", m.ID))
}

// redrawModels answers the press and shows the list as it is now.
func (r *Room) redrawModels(ctx context.Context, p hall.Press, page int, lookFor, said string) error {
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, said); err != nil {
		return err
	}
	if p.Shown == nil {
		return nil
	}
	k, err := r.turns.Talk(ctx, topic{p.Chat.ID, p.Thread})
	if err != nil {
		return err
	}
	text, keyboard := r.modelList(p.Request, k, page, lookFor)
	return r.Sender.Edit(ctx, p.Shown.ID, bot.Message{ChatID: p.Chat.ID, Text: text, Keyboard: keyboard})
}
