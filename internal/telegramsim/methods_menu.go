package telegramsim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

var commandName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// commandScopes are the scopes there are, and whether they name a chat.
var commandScopes = map[string]bool{
	"default": false, "all_private_chats": false, "all_group_chats": false, "all_chat_administrators": false,
	"chat": true, "chat_administrators": true, "chat_member": true,
}

// commandKey is where a list of commands is kept: "scope[:chat[:user]]/language".
func (s *Server) commandKey(p Params) (string, *RefusalError) {
	key := "default"
	if raw := p["scope"]; raw != "" {
		if !gjson.Valid(raw) {
			return "", badRequest("can't parse BotCommandScope JSON object")
		}
		scope := gjson.Parse(raw)
		key = scope.Get("type").String()
		needsChat, ok := commandScopes[key]
		if !ok {
			return "", badRequest("can't parse BotCommandScope: unsupported type specified")
		}
		if needsChat {
			chat := scope.Get("chat_id")
			if !chat.Exists() {
				return "", badRequest("can't parse BotCommandScope: empty chat_id specified")
			}
			if s.world.rooms[chat.Int()] == nil {
				return "", badRequest("chat not found")
			}
			key = fmt.Sprintf("%s:%d", key, chat.Int())
		}
		if user := scope.Get("user_id"); user.Exists() {
			key = fmt.Sprintf("%s:%d", key, user.Int())
		}
	}
	language := p["language_code"]
	if len(language) != 0 && (len(language) != 2 || strings.ToLower(language) != language) {
		return "", badRequest("invalid language code specified")
	}
	return key + "/" + language, nil
}

func setMyCommands(s *Server, c *call) (any, *RefusalError) {
	var commands []Command
	raw := c.params["commands"]
	if !gjson.Valid(raw) || raw == "" {
		return nil, badRequest("can't parse commands JSON object")
	}
	if !gjson.Parse(raw).IsArray() {
		return nil, badRequest("expected an Array of BotCommand")
	}
	if err := json.Unmarshal([]byte(raw), &commands); err != nil {
		return nil, badRequest("can't parse BotCommand: expected an Object")
	}
	if len(commands) > maxCommands {
		return nil, badRequest("BOT_COMMANDS_TOO_MUCH")
	}
	for i := range commands {
		commands[i].Command = strings.TrimPrefix(commands[i].Command, "/")
		if !commandName.MatchString(commands[i].Command) {
			return nil, badRequest("BOT_COMMAND_INVALID")
		}
		if n := utf8.RuneCountInString(commands[i].Description); n < 1 || n > maxCommandText {
			return nil, badRequest("BOT_COMMAND_DESCRIPTION_INVALID")
		}
	}
	return s.setCommands(c, func(key string) {
		if len(commands) == 0 {
			delete(s.world.commands, key)
			return
		}
		s.world.commands[key] = commands
	})
}

func deleteMyCommands(s *Server, c *call) (any, *RefusalError) {
	return s.setCommands(c, func(key string) { delete(s.world.commands, key) })
}

func (s *Server) setCommands(c *call, change func(key string)) (any, *RefusalError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	key, refusal := s.commandKey(c.params)
	if refusal != nil {
		return nil, refusal
	}
	change(key)
	w.dirty = true
	for chat, r := range w.rooms {
		for id := range r.members {
			s.hub.toUser(id, chat, event{Type: "commands", Commands: w.commandsFor(r, w.users[id])})
		}
	}
	return true, nil
}

func getMyCommands(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	key, refusal := s.commandKey(c.params)
	if refusal != nil {
		return nil, refusal
	}
	return append([]Command{}, s.world.commands[key]...), nil
}

// menuRoom is the chat of a menu button call; nil means the default button.
func (s *Server) menuRoom(c *call) (*room, *RefusalError) {
	id, ok := c.params.Int("chat_id")
	if !ok {
		return nil, nil
	}
	r := s.world.rooms[id]
	if r == nil || !r.private() {
		return nil, badRequest("chat not found")
	}
	return r, nil
}

func setChatMenuButton(s *Server, c *call) (any, *RefusalError) {
	button := json.RawMessage(`{"type":"default"}`)
	if raw := c.params["menu_button"]; raw != "" {
		if !gjson.Valid(raw) {
			return nil, badRequest("can't parse menu button JSON object")
		}
		b := gjson.Parse(raw)
		switch b.Get("type").String() {
		case "default", "commands":
		case "web_app":
			link := b.Get("web_app.url").String()
			if b.Get("text").String() == "" {
				return nil, badRequest(`can't parse menu button: can't find field "text"`)
			}
			if !strings.HasPrefix(link, "https://") && !loopbackLink(link) {
				return nil, badRequest("menu button Web App URL '%s' is invalid: Only HTTPS links are allowed", link)
			}
		default:
			return nil, badRequest("can't parse menu button: MenuButton has unsupported type")
		}
		button = json.RawMessage(raw)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r, refusal := s.menuRoom(c)
	if refusal != nil {
		return nil, refusal
	}
	w.dirty = true
	isDefault := gjson.GetBytes(button, "type").String() == "default"
	if r != nil {
		r.menuButton = button
		if isDefault {
			r.menuButton = nil
		}
		s.hub.to(r, event{Type: "menu_button", MenuButton: w.buttonOf(r)})
		return true, nil
	}
	w.menuButton = button
	if isDefault {
		w.menuButton = nil
	}
	for _, r := range w.rooms {
		if r.private() && r.menuButton == nil {
			s.hub.to(r, event{Type: "menu_button", MenuButton: w.buttonOf(r)})
		}
	}
	return true, nil
}

// buttonOf is the menu button of a chat: its own, else the default one; r may be nil.
func (w *world) buttonOf(r *room) json.RawMessage {
	if r != nil && r.menuButton != nil {
		return r.menuButton
	}
	if w.menuButton != nil && (r == nil || r.private()) { // groups have none
		return w.menuButton
	}
	return json.RawMessage(`{"type":"commands"}`)
}

func getChatMenuButton(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.menuRoom(c)
	if refusal != nil {
		return nil, refusal
	}
	return s.world.buttonOf(r), nil
}
