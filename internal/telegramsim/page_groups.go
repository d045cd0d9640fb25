package telegramsim

import (
	"maps"
	"net/http"
	"slices"
)

// chats lists where a person is: the private chat first, then groups.
func (s *Server) chats(user int64) []Chat {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	list := []Chat{}
	for _, r := range s.world.rooms {
		if r.members[user] && r.migrated == 0 {
			list = append(list, r.chat)
		}
	}
	slices.SortFunc(list, func(a, b Chat) int { return int(b.ID - a.ID) }) // groups' ids are negative
	return list
}

// membersOf are the people of a group, by id; nil for a private chat. Callers hold the lock.
func (w *world) membersOf(r *room) []User {
	if r.private() {
		return nil
	}
	list := make([]User, 0, len(r.members))
	for _, id := range slices.Sorted(maps.Keys(r.members)) {
		list = append(list, w.users[id])
	}
	return list
}

func (s *Server) pageChats(w http.ResponseWriter, r *http.Request) {
	pageAnswer(w, map[string]any{"chats": s.chats(queryInt(r, "user"))})
}

// pageInline shows what the bot offered for an inline query: null while it has not.
func (s *Server) pageInline(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	pageAnswer(w, map[string]any{"answer": s.Offered(id)})
}

// actOnGroups carries out what the page does in groups and inline mode.
func (s *Server) actOnGroups(action string, q pageRequest) (any, error) {
	ok := map[string]bool{"ok": true}
	switch action {
	case "group":
		chat, err := s.newGroup(q.kind(), q.Name, q.Members)
		return map[string]any{"chat": chat}, err
	case "upgrade":
		chat, err := s.Upgrade(q.User, q.Chat)
		return map[string]any{"chat": chat}, err
	case "forum":
		return ok, s.Forum(q.Chat)
	case "topic":
		thread, err := s.Topic(q.User, q.Chat, q.Name)
		return map[string]int64{"thread": thread}, err
	case "join":
		return ok, s.Join(q.User, q.Chat)
	case "leave":
		return ok, s.Leave(q.User, q.Chat)
	case "promote":
		return ok, s.Promote(q.User, q.Chat, q.Admin)
	case "bot":
		if q.Present {
			return ok, s.AddBot(q.User, q.Chat)
		}
		return ok, s.RemoveBot(q.User, q.Chat, q.Ban)
	case "type":
		id, err := s.Type(q.User, q.ChatType, q.Text, q.Offset)
		return map[string]string{"inline_query_id": id}, err
	case "choose":
		if q.Elsewhere {
			id, err := s.Choose(q.Query, q.Result)
			return map[string]string{"inline_message_id": id}, err
		}
		m, err := s.ChooseIn(q.Query, q.Result, q.Chat, q.Thread)
		return map[string]any{"message": m}, err
	case "webapp":
		data, err := s.InitData(Launch{User: q.User, Chat: q.Chat, Button: q.Button, StartParam: q.Payload})
		return map[string]string{"init_data": data}, err
	}
	return s.actOnStars(action, q)
}

// kind is the type of the group that a request makes.
func (q *pageRequest) kind() string {
	if q.ChatType == ChatGroup {
		return ChatGroup
	}
	return ChatSupergroup
}
