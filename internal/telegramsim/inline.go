package telegramsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"
)

// Limits of inline mode (Bot API: answerInlineQuery, InlineQuery).
const (
	maxInlineResults = 50
	maxInlineQuery   = 256 // characters
	maxInlineOffset  = 64  // bytes
	maxInlineTime    = 24 * 60 * 60
	maxResultID      = 64 // bytes
	inlineLife       = 30 // seconds; Client.cpp gives its update so long
)

// Errors of the people's side of inline mode.
var (
	ErrInlineUnknown = errors.New("telegramsim: no such inline query, or it has no such result")
	ErrInlineQuery   = errors.New("telegramsim: an inline query has at most 256 characters")
)

// inlineQuery is what somebody typed behind the bot's name, and what the bot offered.
type inlineQuery struct {
	user    User
	text    string
	expires int64 // Unix milliseconds
	answer  *InlineAnswer
}

// InlineAnswer is what the bot offered for an inline query.
type InlineAnswer struct {
	Results    []json.RawMessage `json:"results"`    // as the bot sent them
	CacheTime  int64             `json:"cache_time"` // seconds
	Personal   bool              `json:"is_personal"`
	NextOffset string            `json:"next_offset"`
	Button     json.RawMessage   `json:"button,omitempty"` // InlineQueryResultsButton, or nil
}

// Type lets a person type behind the bot's name in some chat; kind is the chat's type ("sender" for the chat
// with the bot itself). The bot gets an inline_query; its id is returned.
func (s *Server) Type(user int64, kind, text, offset string) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, ok := w.users[user]
	switch {
	case !ok:
		return "", ErrUserUnknown
	case len([]rune(text)) > maxInlineQuery:
		return "", ErrInlineQuery
	}
	id := strconv.FormatInt(u.ID<<20|w.nextQuery, 10)
	w.nextQuery++
	w.dirty = true
	w.inline[id] = &inlineQuery{user: u, text: text, expires: s.now().UnixMilli() + int64(inlineLife*1000*s.o.LifeScale)}
	query := map[string]any{"id": id, "from": u, "query": text, "offset": offset}
	if kind != "" {
		query["chat_type"] = kind
	}
	return id, s.push("inline_query", u.ID, query)
}

// Offered is what the bot answered to an inline query, or nil.
func (s *Server) Offered(query string) *InlineAnswer {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if q := s.world.inline[query]; q != nil {
		return q.answer
	}
	return nil
}

// Choose sends one of the results that the bot offered, in a chat where the bot is not: the bot hears of it only
// as a chosen_inline_result, with the message's inline_message_id where it has buttons.
func (s *Server) Choose(query, result string) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q, chosen, err := w.chosen(query, result)
	if err != nil {
		return "", err
	}
	_, id, refusal := s.throughBot(query, q, chosen)
	if refusal != nil {
		return "", fmt.Errorf("%w: %w", ErrInlineUnknown, refusal)
	}
	return id, s.pushChosen(q, chosen, id)
}

// ChooseIn is Choose in a chat of the asker's that is kept here (0: the one with the bot itself), where everybody
// sees the message; the bot gets it, too, where it hears what was sent through it.
func (s *Server) ChooseIn(query, result string, chat, thread int64) (*Message, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q, chosen, err := w.chosen(query, result)
	if err != nil {
		return nil, err
	}
	_, r, err := w.person(q.user.ID, chat)
	if err == nil {
		err = r.writable()
	}
	if err != nil {
		return nil, err
	}
	m, id, refusal := s.throughBot(query, q, chosen)
	switch {
	case refusal != nil:
		return nil, fmt.Errorf("%w: %w", ErrInlineUnknown, refusal)
	case m.Text == "":
		return nil, fmt.Errorf("%w: results other than texts are not shown here", ErrInlineUnknown)
	case thread != 0 && !r.threads[thread]:
		return nil, fmt.Errorf("%w: no such topic", ErrChatUnknown)
	}
	m.MessageThreadID, m.IsTopicMessage = thread, thread != 0
	if _, err := s.said(r, m); err != nil {
		return m, err
	}
	return m, s.pushChosen(q, chosen, id)
}

// chosen finds a query and the result of it that somebody chose.
func (w *world) chosen(query, result string) (*inlineQuery, gjson.Result, error) {
	q := w.inline[query]
	if q == nil || q.answer == nil {
		return nil, gjson.Result{}, ErrInlineUnknown
	}
	for _, raw := range q.answer.Results {
		if one := gjson.ParseBytes(raw); one.Get("id").String() == result {
			return q, one, nil
		}
	}
	return nil, gjson.Result{}, ErrInlineUnknown
}

// throughBot makes the message of a chosen result; one with buttons can be edited by its inline_message_id, which
// is empty of others.
func (s *Server) throughBot(query string, q *inlineQuery, chosen gjson.Result) (m *Message, id string, refusal *RefusalError) {
	content := chosen.Get("input_message_content")
	p := Params{"text": content.Get("message_text").String(), "parse_mode": content.Get("parse_mode").String(), "entities": content.Get("entities").Raw}
	text, entities, refusal := inputText(p, "text", "entities")
	if refusal == nil {
		text, entities, refusal = s.fixText(text, entities, true)
	}
	if refusal != nil {
		return nil, "", refusal
	}
	m = &Message{From: &q.user, Date: s.now().Unix(), ViaBot: &s.bot, Text: text, Entities: entities}
	if markup := chosen.Get("reply_markup"); markup.Exists() {
		id = "BAAAA" + query + "_" + chosen.Get("id").String()
		m.ReplyMarkup = json.RawMessage(markup.Raw)
		s.world.inlineMessages[id] = m
	}
	return m, id, nil
}

// inlineOf is the inline_message_id of a message in a chat, or empty.
func (w *world) inlineOf(m *Message) string {
	if m.ViaBot == nil {
		return ""
	}
	for id, one := range w.inlineMessages {
		if one.MessageID == m.MessageID && one.Chat.ID == m.Chat.ID {
			return id
		}
	}
	return ""
}

func (s *Server) pushChosen(q *inlineQuery, chosen gjson.Result, message string) error {
	report := map[string]any{"result_id": chosen.Get("id").String(), "from": q.user, "query": q.text}
	if message != "" {
		report["inline_message_id"] = message
	}
	return s.push("chosen_inline_result", q.user.ID, report)
}

// InlineMessage is a message sent through the bot, by its inline_message_id, or nil.
func (s *Server) InlineMessage(id string) *Message {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.inlineMessages[id]
}

// answerInlineQuery offers results (Client.cpp: get_inline_query_result; the errors of
// https://core.telegram.org/method/messages.setInlineBotResults). Each query is answered once.
func answerInlineQuery(s *Server, c *call) (any, *RefusalError) {
	raw := c.params["results"]
	switch {
	case raw == "":
		return nil, badRequest("results isn't specified")
	case !gjson.Valid(raw):
		return nil, badRequest("can't parse JSON encoded inline query results")
	case !gjson.Parse(raw).IsArray():
		return nil, badRequest("expected an Array of inline query results")
	}
	results := gjson.Parse(raw).Array()
	if len(results) > maxInlineResults {
		return nil, badRequest("RESULTS_TOO_MUCH")
	}
	if len(c.params["next_offset"]) > maxInlineOffset {
		return nil, badRequest("NEXT_OFFSET_INVALID")
	}
	button := c.params["button"]
	if refusal := checkInlineButton(button); refusal != nil {
		return nil, refusal
	}
	answer := &InlineAnswer{Personal: c.params.Bool("is_personal"), NextOffset: c.params["next_offset"], CacheTime: 300}
	if n, ok := c.params.Int("cache_time"); ok {
		answer.CacheTime = min(max(n, 0), maxInlineTime)
	}
	if button != "" {
		answer.Button = json.RawMessage(button)
	}
	seen := map[string]bool{}
	for _, result := range results {
		if refusal := s.checkResult(result, seen); refusal != nil {
			return nil, refusal
		}
		answer.Results = append(answer.Results, json.RawMessage(result.Raw))
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.inline[c.params["inline_query_id"]]
	if q == nil || q.answer != nil || s.now().UnixMilli() > q.expires {
		return nil, badRequest(saidQueryTooOld)
	}
	q.answer = answer
	c.chat = q.user.ID
	s.hub.toUser(q.user.ID, q.user.ID, event{Type: "inline_answer", CallbackQueryID: c.params["inline_query_id"]})
	return true, nil
}

func checkInlineButton(raw string) *RefusalError {
	if raw == "" {
		return nil
	}
	button := gjson.Parse(raw)
	start := button.Get("start_parameter")
	switch {
	case !gjson.Valid(raw) || !button.IsObject():
		return badRequest("can't parse inline query results button")
	case button.Get("text").String() == "":
		return badRequest("SWITCH_PM_TEXT_EMPTY")
	case !start.Exists() && !button.Get("web_app.url").Exists():
		return badRequest("the button must have one of the fields web_app and start_parameter")
	case start.Exists() && (start.String() == "" || !validPayload(start.String())):
		return badRequest("START_PARAM_INVALID")
	}
	return nil
}

// checkResult checks one InlineQueryResult. Of those that send text, articles, the text is checked as any.
func (s *Server) checkResult(v gjson.Result, seen map[string]bool) *RefusalError {
	id := v.Get("id").String()
	switch {
	case !v.IsObject():
		return badRequest("inline query result must be an object")
	case v.Get("type").Type != gjson.String:
		return badRequest(`can't find field "type"`)
	case v.Get("id").Type != gjson.String:
		return badRequest(`can't find field "id"`)
	case id == "":
		return badRequest("RESULT_ID_EMPTY")
	case len(id) > maxResultID:
		return badRequest("RESULT_ID_INVALID")
	case seen[id]:
		return badRequest("RESULT_ID_DUPLICATE")
	}
	seen[id] = true
	if markup := v.Get("reply_markup"); markup.Exists() {
		parsed, refusal := inputMarkup(markup.Raw)
		if refusal == nil {
			refusal = parsed.check(&room{chat: Chat{Type: ChatSupergroup}})
		}
		if refusal != nil {
			return refusal
		}
	}
	if v.Get("type").String() != "article" {
		return nil
	}
	content := v.Get("input_message_content")
	switch {
	case v.Get("title").String() == "":
		return badRequest("ARTICLE_TITLE_EMPTY")
	case !content.IsObject():
		return badRequest(`can't find field "input_message_content"`)
	case !content.Get("message_text").Exists():
		return nil // a place, a contact, an invoice: their shape is checked with the call's
	}
	p := Params{"text": content.Get("message_text").String(), "parse_mode": content.Get("parse_mode").String(), "entities": content.Get("entities").Raw}
	if p["text"] == "" {
		return badRequest("message text is empty")
	}
	text, entities, refusal := inputText(p, "text", "entities")
	if refusal == nil {
		_, _, refusal = s.fixText(text, entities, false)
	}
	return refusal
}

// editInline edits a message that was sent through the bot; the caller holds the lock.
func (s *Server) editInline(id string, markup markup, change func(*Message) *RefusalError) (any, *RefusalError) {
	before := s.world.inlineMessages[id]
	if before == nil {
		return nil, badRequest("MESSAGE_ID_INVALID")
	}
	if refusal := markup.check(&room{chat: Chat{Type: ChatSupergroup}}); refusal != nil {
		return nil, refusal
	}
	after := *before
	if refusal := change(&after); refusal != nil {
		return nil, refusal
	}
	after.ReplyMarkup = markup.inline
	if sameContent(&after, before) {
		return nil, badRequest(saidNotModified)
	}
	after.EditDate = s.now().Unix()
	s.world.inlineMessages[id] = &after
	if r := s.world.rooms[after.Chat.ID]; r != nil { // a chat that is kept here
		if i := r.find(after.MessageID); i >= 0 {
			r.messages[i] = &after
			s.hub.to(r, event{Type: "edit", Message: &after})
		}
	}
	return true, nil
}
