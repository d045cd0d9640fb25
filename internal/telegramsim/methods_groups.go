package telegramsim

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// groupOf is target for methods that are about groups alone.
func (s *Server) groupOf(c *call, refused string) (*room, *RefusalError) {
	r, refusal := s.target(c)
	if refusal == nil && r.private() {
		return nil, badRequest("%s", refused)
	}
	return r, refusal
}

// getChatMember tells what somebody is in a chat (Client.cpp: process_get_chat_member_query).
func getChatMember(s *Server, c *call) (any, *RefusalError) {
	id, ok := c.params.Int("user_id")
	if !ok {
		return nil, badRequest("invalid user_id specified")
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	u := s.world.users[id]
	if id == s.bot.ID {
		u = s.bot
	}
	if u.ID == 0 {
		return nil, badRequest("PARTICIPANT_ID_INVALID")
	}
	return s.member(r, u), nil
}

// getChatAdministrators lists those of a group who are not bots (Bot API).
func getChatAdministrators(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.groupOf(c, "there are no administrators in the private chat")
	if refusal != nil {
		return nil, refusal
	}
	var ids []int64
	for id := range r.members {
		if r.admins[id] || r.creator == id {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	list := []json.RawMessage{}
	for _, id := range ids {
		list = append(list, s.member(r, s.world.users[id]))
	}
	return list, nil
}

func getChatMemberCount(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	return len(r.members) + 1, nil
}

func leaveChat(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.groupOf(c, "method is available only for groups, supergroups and channels")
	if refusal != nil {
		return nil, refusal
	}
	r.botGone, s.world.dirty = "left", true
	return true, nil
}

// createForumTopic begins a topic in a private chat, or in a forum that the bot administers (Bot API).
func createForumTopic(s *Server, c *call) (any, *RefusalError) {
	name := c.params["name"]
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	switch {
	case refusal != nil:
		return nil, refusal
	case !r.private() && !r.chat.IsForum:
		return nil, badRequest("the chat is not a forum")
	case !r.private() && !r.admins[s.bot.ID]:
		return nil, badRequest("not enough rights to create a topic")
	case name == "":
		return nil, badRequest("TOPIC_TITLE_EMPTY")
	case utf8.RuneCountInString(name) > maxTopicName:
		return nil, badRequest("TOPIC_TITLE_TOO_LONG")
	}
	colour, given := c.params.Int("icon_color")
	if !given {
		colour = topicColour
	}
	if !slices.Contains(topicColours, colour) {
		return nil, badRequest("invalid icon color specified")
	}
	id, err := s.begin(s.bot, r, name, colour)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	return map[string]any{"message_thread_id": id, "name": name, "icon_color": colour}, nil
}

// editForumTopic and deleteForumTopic are about topics there are.
func editForumTopic(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.topic(c)
	if refusal != nil {
		return nil, refusal
	}
	name := c.params["name"]
	if utf8.RuneCountInString(name) > maxTopicName {
		return nil, badRequest("TOPIC_TITLE_TOO_LONG")
	}
	if thread, _ := c.params.Int("message_thread_id"); name != "" { // empty: it keeps its name
		r.topics[thread], s.world.dirty = name, true
		s.tellTopics(r)
	}
	return true, nil
}

func deleteForumTopic(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.topic(c)
	if refusal != nil {
		return nil, refusal
	}
	thread, _ := c.params.Int("message_thread_id")
	delete(r.threads, thread)
	delete(r.topics, thread)
	s.tellTopics(r)
	for i := len(r.messages) - 1; i >= 0; i-- {
		if r.messages[i].MessageThreadID == thread {
			s.erase(r, i)
		}
	}
	return true, nil
}

// topic finds the room of a call about a topic, which target has looked up.
func (s *Server) topic(c *call) (*room, *RefusalError) {
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	if thread, _ := c.params.Int("message_thread_id"); thread == 0 {
		return nil, badRequest("TOPIC_ID_INVALID")
	}
	return r, nil
}
