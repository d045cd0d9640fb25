package telegramsim

import (
	"strconv"
	"strings"
	"time"
)

// draftLife is how long a draft stays without a new frame (Bot API: "a temporary 30-second preview").
const draftLife = 30 * time.Second

// sendMessageDraft shows or replaces the preview of a private chat.
func sendMessageDraft(s *Server, c *call) (any, *RefusalError) {
	text, entities, refusal := inputText(c.params, "text", "entities")
	if refusal != nil {
		return nil, refusal
	}
	return s.draft(c, func(d *Draft) *RefusalError {
		text, entities, refusal := s.fixText(text, entities, true)
		d.Text, d.Entities = text, append([]Entity{}, entities...)
		return refusal
	})
}

// draft shows or replaces the preview of a private chat, with the content that fill gives it.
func (s *Server) draft(c *call, fill func(*Draft) *RefusalError) (any, *RefusalError) {
	id, err := strconv.ParseInt(strings.TrimSpace(c.params["draft_id"]), 10, 64)
	if err != nil || id == 0 {
		return nil, badRequest("draft_id must be a non-zero Integer")
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	if !r.private() {
		return nil, badRequest("TEXTDRAFT_PEER_INVALID")
	}
	life := s.life(draftLife)
	d := &Draft{
		DraftID: id, Entities: []Entity{}, CanStop: c.params.Bool("can_stop"), KeepOnStop: c.params.Bool("keep_on_stop"),
		Expires: s.now().Add(life).Unix(),
	}
	if refusal := fill(d); refusal != nil {
		return nil, refusal
	}
	d.MessageThreadID, _ = c.params.Int("message_thread_id")
	r.draft, r.draftEnds, r.typingEnds = d, s.now().Add(life), time.Time{}
	s.hub.to(r, event{Type: "draft", Draft: d, DraftID: id})
	return true, nil
}

// endDraft removes the preview of a room, if there is one; the caller holds the lock.
func (s *Server) endDraft(r *room, reason string) {
	if r.draft == nil {
		return
	}
	id := r.draft.DraftID
	r.draft = nil
	s.hub.to(r, event{Type: "draft_end", DraftID: id, Reason: reason})
}

func (s *Server) expireDrafts() {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	now := s.now()
	for _, r := range w.rooms {
		if r.draft != nil && now.After(r.draftEnds) {
			s.endDraft(r, "expired")
		}
	}
	for id, q := range w.queries {
		if now.After(q.expires) {
			delete(w.queries, id)
		}
	}
	for id, q := range w.inline {
		if q.answer == nil && now.UnixMilli() > q.expires {
			delete(w.inline, id)
		}
	}
}

// chatActions are the actions there are (Client.cpp: get_chat_action).
var chatActions = map[string]bool{
	"typing": true, "upload_photo": true, "record_video": true, "upload_video": true, "record_voice": true, "upload_voice": true,
	"record_audio": true, "upload_audio": true, "upload_document": true, "choose_sticker": true, "find_location": true,
	"pick_up_location": true, "record_video_note": true, "upload_video_note": true, "cancel": true,
}

func sendChatAction(s *Server, c *call) (any, *RefusalError) {
	action := strings.ToLower(c.params["action"])
	if !chatActions[action] {
		return nil, badRequest("wrong parameter action in request")
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	seconds := typingSeconds
	if action == "cancel" {
		seconds = 0
	}
	r.typingEnds = s.now().Add(time.Duration(seconds) * time.Second)
	s.hub.to(r, event{Type: "typing", Action: action, Seconds: seconds})
	return true, nil
}

// answerCallbackQuery ends the wait of a pressed button; each query is answered once.
func answerCallbackQuery(s *Server, c *call) (any, *RefusalError) {
	text := c.params["text"]
	if utf16Len(text) > maxCallbackAnswer {
		return nil, badRequest("MESSAGE_TOO_LONG")
	}
	id := c.params["callback_query_id"]
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queries[id]
	if q == nil || s.now().After(q.expires) {
		return nil, badRequest(saidQueryTooOld)
	}
	delete(w.queries, id)
	w.dirty = true
	c.chat = q.chat
	alert, link := c.params.Bool("show_alert"), c.params["url"]
	s.hub.toUser(q.user, q.chat, event{
		Type: "callback_answer", CallbackQueryID: id, MessageID: q.message, Text: &text, ShowAlert: &alert, URL: &link,
	})
	return true, nil
}
