package telegramsim

import (
	"container/list"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// update is one update waiting for the bot.
type update struct {
	ID      int64           `json:"id"`
	Kind    string          `json:"kind"` // the field of Update it carries
	Body    json.RawMessage `json:"body"` // the whole Update
	Chat    int64           `json:"chat"` // whose it is, for reports: the id its queue is made of
	Queue   int64           `json:"queue"`
	Created time.Time       `json:"created"`
	Expires time.Time       `json:"expires"`

	// of the courier that carries it
	delay    int // seconds, of the last backoff
	failures int
	wakeup   time.Time
}

// kindRule says which queue an update of a kind joins and how long it waits for the bot at most.
// Source: the add_update… functions of Client.cpp; a queue's id is an object's id plus class<<33.
type kindRule struct {
	class int64
	path  string // to the id, inside the update
	life  time.Duration
}

const day = 24 * time.Hour

var kindRules = map[string]kindRule{
	"message":                   {0, "message.chat.id", day},
	"edited_message":            {0, "edited_message.chat.id", day},
	"channel_post":              {0, "channel_post.chat.id", day},
	"edited_channel_post":       {0, "edited_channel_post.chat.id", day},
	"inline_query":              {1, "inline_query.from.id", 30 * time.Second},
	"chosen_inline_result":      {2, "chosen_inline_result.from.id", 10 * time.Minute},
	"callback_query":            {3, "callback_query.from.id", callbackLife},
	"shipping_query":            {4, "shipping_query.from.id", 150 * time.Second},
	"pre_checkout_query":        {4, "pre_checkout_query.from.id", 150 * time.Second},
	"my_chat_member":            {5, "my_chat_member.chat.id", day},
	"chat_member":               {6, "chat_member.new_chat_member.user.id", day},
	"chat_join_request":         {6, "chat_join_request.from.id", day},
	"chat_boost":                {7, "chat_boost.chat.id", day},
	"removed_chat_boost":        {7, "removed_chat_boost.chat.id", day},
	"message_reaction":          {8, "message_reaction.chat.id", day},
	"message_reaction_count":    {9, "message_reaction_count.chat.id", day},
	"business_connection":       {10, "business_connection.user.id", day},
	"business_message":          {11, "business_message.chat.id", day},
	"edited_business_message":   {11, "edited_business_message.chat.id", day},
	"deleted_business_messages": {11, "deleted_business_messages.chat.id", day},
	"guest_message":             {12, "guest_message.chat.id", day},
	"purchased_paid_media":      {12, "purchased_paid_media.from.id", day},
	"managed_bot":               {13, "managed_bot.user.id", day},
	"poll":                      {0, "poll.id", day},
	"poll_answer":               {0, "poll_answer.poll_id", day},
	// Newer than the published server; their own classes keep them off the chat's messages.
	"subscription":               {14, "subscription.user.id", day},
	"stopped_message_generation": {15, "stopped_message_generation.chat.id", 150 * time.Second},
}

// hiddenByDefault are delivered only when allowed_updates names them (Bot API: setWebhook).
var hiddenByDefault = map[string]bool{"chat_member": true, "message_reaction": true, "message_reaction_count": true}

// updateLog holds the updates the bot has not acknowledged, in order of id.
type updateLog struct {
	mu      sync.Mutex
	next    int64
	limit   int
	version int64      // counts changes
	pending *list.List // of *update
	byID    map[int64]*list.Element
	allowed []string      // nil: all but hiddenByDefault
	changed chan struct{} // closed and replaced when an update comes
	courier *courier      // carries updates to the webhook, if one is set
}

func newUpdateLog(first int64, limit int) *updateLog {
	return &updateLog{next: first, limit: limit, pending: list.New(), byID: map[int64]*list.Element{}, changed: make(chan struct{})}
}

// push queues an update of a kind about an object (a chat, a user) for the bot.
func (s *Server) push(kind string, object int64, payload any) error {
	_, err := s.pushNumbered(kind, object, payload)
	return err
}

// pushNumbered is push, and tells the update's id: 0 where the bot does not want the kind.
func (s *Server) pushNumbered(kind string, object int64, payload any) (int64, error) {
	body := make([]byte, 0, 512)
	body = append(body, `{"update_id":0,"`...)
	body = append(body, kind...)
	body = append(body, `":`...)
	body = append(body, mustJSON(payload)...)
	body = append(body, '}')
	return s.enqueue(kind, object, body)
}

// Inject queues a whole update as it is, but for update_id, which the simulator gives, and returns that id.
// An update of a kind that the Bot API does not know is refused.
func (s *Server) Inject(raw json.RawMessage) (int64, error) {
	if !gjson.ValidBytes(raw) {
		return 0, ErrUpdateInvalid
	}
	kind := ""
	gjson.ParseBytes(raw).ForEach(func(k, _ gjson.Result) bool {
		if _, ok := kindRules[k.String()]; ok {
			kind = k.String()
		}
		return kind == ""
	})
	if kind == "" {
		return 0, ErrUpdateInvalid
	}
	body, err := sjson.SetBytes(raw, "update_id", 0)
	if err != nil {
		return 0, fmt.Errorf("telegramsim: inject: %w", err)
	}
	return s.enqueue(kind, gjson.GetBytes(raw, kindRules[kind].path).Int(), body)
}

// pushAgain queues an update under the id it once had.
func (s *Server) pushAgain(kind string, id, object int64, payload any) {
	rule := kindRules[kind]
	now := time.Now()
	u := &update{
		ID: id, Kind: kind, Chat: object, Queue: object + rule.class<<33, Created: now, Expires: now.Add(s.life(rule.life)), delay: 1, wakeup: now,
	}
	u.Body = mustJSON(map[string]any{"update_id": id, kind: payload})
	l := s.updates
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID[id] == nil { // else it is on its way anyway
		l.add(u)
	}
}

// enqueue numbers an update and hands it to whoever waits. An update of a kind that is not allowed is
// dropped, as the server does, and has id 0.
func (s *Server) enqueue(kind string, object int64, body []byte) (int64, error) {
	rule := kindRules[kind]
	now := time.Now()
	u := &update{
		Kind: kind, Chat: object, Queue: object + rule.class<<33, Created: now, Expires: now.Add(s.life(rule.life)), delay: 1, wakeup: now,
	}
	l := s.updates
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.allows(kind) {
		return 0, nil
	}
	if l.pending.Len() >= l.limit {
		return 0, ErrPendingFull
	}
	u.ID = l.next
	l.next++
	var err error
	if u.Body, err = sjson.SetRawBytes(body, "update_id", strconv.AppendInt(nil, u.ID, 10)); err != nil {
		return 0, fmt.Errorf("telegramsim: number an update: %w", err)
	}
	l.add(u)
	return u.ID, nil
}

// add appends an update; the caller holds the lock or is alone.
func (l *updateLog) add(u *update) {
	l.version++
	l.byID[u.ID] = l.pending.PushBack(u)
	close(l.changed)
	l.changed = make(chan struct{})
	if l.courier != nil {
		l.courier.offer(u)
	}
}

func (l *updateLog) allows(kind string) bool {
	if l.allowed == nil {
		return !hiddenByDefault[kind]
	}
	return slices.Contains(l.allowed, kind)
}

// allow changes allowed_updates: nil keeps the previous list, an empty one restores the default.
func (l *updateLog) allow(kinds []string) {
	if kinds == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version++
	l.allowed = nil
	for _, k := range kinds {
		if _, ok := kindRules[k]; ok {
			l.allowed = append(l.allowed, k)
		}
	}
}

func (l *updateLog) allowedList() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.allowed)
}

func (l *updateLog) remove(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byID[id]; e != nil {
		l.version++
		l.pending.Remove(e)
		delete(l.byID, id)
	}
}

func (l *updateLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version++
	l.pending.Init()
	clear(l.byID)
}

func (l *updateLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending.Len()
}

// confirm removes what an offset of getUpdates confirms and returns it: everything below a positive offset,
// everything but the last -offset for a negative one.
func (l *updateLog) confirm(offset int64) []*update {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gone []*update
	for e := l.pending.Front(); e != nil; e = l.pending.Front() {
		u := e.Value.(*update)
		if offset > 0 && u.ID >= offset || offset < 0 && int64(l.pending.Len()) <= -offset || offset == 0 {
			break
		}
		l.pending.Remove(e)
		delete(l.byID, u.ID)
		l.version++
		gone = append(gone, u)
	}
	return gone
}

// first returns up to limit live updates, and the channel that closes when one comes.
func (l *updateLog) first(limit int, now time.Time) ([]*update, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var updates []*update
	for e := l.pending.Front(); e != nil && len(updates) < limit; {
		next := e.Next()
		u := e.Value.(*update)
		if now.After(u.Expires) {
			l.pending.Remove(e)
			delete(l.byID, u.ID)
		} else {
			updates = append(updates, u)
		}
		e = next
	}
	return updates, l.changed
}

// carry gives all waiting updates, and those to come, to a courier; nil ends that.
func (l *updateLog) carry(c *courier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.courier = c
	if c == nil {
		return
	}
	for e := l.pending.Front(); e != nil; e = e.Next() {
		u := e.Value.(*update)
		u.delay, u.failures, u.wakeup = 1, 0, time.Now()
		c.offer(u)
	}
}
