package telegramsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const storeVersion = 1

// store is the data file.
type store struct {
	path  string
	mu    sync.Mutex
	dirty bool  // something besides the world changed
	saved int64 // the version of the update log that was last written
}

// saved is what the data file holds. Pending updates and the webhook are kept too, as Telegram keeps them.
type saved struct {
	Version     int                  `json:"version"`
	Users       []User               `json:"users"`
	Rooms       []savedRoom          `json:"rooms"`
	Commands    map[string][]Command `json:"commands,omitempty"`
	MenuButton  json.RawMessage      `json:"menu_button,omitempty"`
	NextUser    int64                `json:"next_user"`
	NextGroup   int64                `json:"next_group"`
	NextMessage int64                `json:"next_message"`
	NextQuery   int64                `json:"next_query"`
	NextAlbum   int64                `json:"next_album,omitempty"`
	NextUpdate  int64                `json:"next_update"`
	Pending     []*update            `json:"pending,omitempty"`
	Allowed     []string             `json:"allowed_updates,omitempty"`
	Webhook     hookConfig           `json:"webhook"`
	Till        savedTill            `json:"till"`
	Files       []file               `json:"files,omitempty"` // their contents are beside the data file
	NextFile    int64                `json:"next_file,omitempty"`
}

type savedRoom struct {
	Chat        Chat            `json:"chat"`
	Messages    []*Message      `json:"messages,omitempty"`
	Members     []int64         `json:"members,omitempty"`
	Admins      []int64         `json:"admins,omitempty"`
	Creator     int64           `json:"creator,omitempty"`
	BotGone     string          `json:"bot_gone,omitempty"`
	Migrated    int64           `json:"migrated,omitempty"`
	Threads     []int64         `json:"threads,omitempty"`
	Topics      []topic         `json:"topics,omitempty"`
	NextMessage int64           `json:"next_message"`
	Started     bool            `json:"started,omitempty"`
	Blocked     bool            `json:"blocked,omitempty"`
	Keyboard    json.RawMessage `json:"keyboard,omitempty"`
	KeyboardOf  int64           `json:"keyboard_of,omitempty"`
	MenuButton  json.RawMessage `json:"menu_button,omitempty"`
}

// changed marks something outside the world as worth saving.
func (s *Server) changed() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.dirty = true
}

// load reads the data file into an otherwise empty server and returns the webhook that was set.
func (s *Server) load() (hookConfig, error) {
	if s.store.path == "" {
		return hookConfig{}, nil
	}
	raw, err := os.ReadFile(s.store.path)
	if errors.Is(err, fs.ErrNotExist) {
		return hookConfig{}, nil
	}
	if err != nil {
		return hookConfig{}, fmt.Errorf("telegramsim: data file: %w", err)
	}
	var d saved
	if err := json.Unmarshal(raw, &d); err != nil {
		return hookConfig{}, fmt.Errorf("telegramsim: data file %s: %w", s.store.path, err)
	}
	if d.Version != storeVersion {
		return hookConfig{}, fmt.Errorf("telegramsim: data file %s: version %d is not %d", s.store.path, d.Version, storeVersion)
	}
	w := s.world
	for _, u := range d.Users {
		w.users[u.ID] = u
	}
	for _, sr := range d.Rooms {
		r := newRoom(sr.Chat)
		r.messages, r.nextMessage, r.started, r.blocked = sr.Messages, max(sr.NextMessage, 1), sr.Started, sr.Blocked
		r.keyboard, r.keyboardOf, r.menuButton = sr.Keyboard, sr.KeyboardOf, sr.MenuButton
		r.creator, r.botGone, r.migrated = sr.Creator, sr.BotGone, sr.Migrated
		for _, id := range sr.Members {
			r.members[id] = true
		}
		for _, id := range sr.Admins {
			r.admins[id] = true
		}
		for _, id := range sr.Threads {
			r.threads[id] = true
		}
		for _, one := range sr.Topics {
			r.topics[one.Thread] = one.Name
		}
		w.rooms[sr.Chat.ID] = r
	}
	if d.Commands != nil {
		w.commands = d.Commands
	}
	w.menuButton = d.MenuButton
	w.till.load(d.Till)
	w.nextUser, w.nextGroup = max(d.NextUser, w.nextUser), max(d.NextGroup, w.nextGroup)
	w.nextMessage, w.nextQuery, w.nextAlbum = max(d.NextMessage, 1), max(d.NextQuery, 1), d.NextAlbum
	s.files.load(d.Files, d.NextFile)
	s.updates.next = max(d.NextUpdate, s.updates.next) // never an id again, even if the last ones were not saved
	s.updates.allowed = d.Allowed
	for _, u := range d.Pending {
		s.updates.add(u)
	}
	s.store.saved = s.updates.version
	return d.Webhook, nil
}

// save writes the data file if something changed since the last time.
func (s *Server) save() error {
	if s.store.path == "" {
		return nil
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	d, ok := s.snapshot()
	if !ok {
		return nil
	}
	raw := mustJSON(d)
	if err := os.MkdirAll(filepath.Dir(s.store.path), 0o700); err != nil {
		return fmt.Errorf("telegramsim: data file: %w", err)
	}
	temporary := s.store.path + ".new"
	if err := os.WriteFile(temporary, raw, 0o600); err != nil {
		return fmt.Errorf("telegramsim: data file: %w", err)
	}
	if err := os.Rename(temporary, s.store.path); err != nil {
		return fmt.Errorf("telegramsim: data file: %w", err)
	}
	return nil
}

// snapshot copies what is saved; false if nothing changed. The caller holds the store's lock.
func (s *Server) snapshot() (saved, bool) {
	s.hooks.mu.Lock()
	hook := s.hooks.hook
	s.hooks.mu.Unlock()
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	s.updates.mu.Lock()
	defer s.updates.mu.Unlock()
	if !w.dirty && !s.store.dirty && s.store.saved == s.updates.version {
		return saved{}, false
	}
	w.dirty, s.store.dirty, s.store.saved = false, false, s.updates.version
	d := saved{
		Version: storeVersion, Commands: maps.Clone(w.commands), MenuButton: w.menuButton,
		NextUser: w.nextUser, NextGroup: w.nextGroup, NextMessage: w.nextMessage, NextQuery: w.nextQuery, NextAlbum: w.nextAlbum,
		NextUpdate: s.updates.next, Allowed: slices.Clone(s.updates.allowed), Webhook: hook, Till: w.till.save(),
	}
	d.Files, d.NextFile = s.files.save()
	for _, id := range slices.Sorted(maps.Keys(w.users)) {
		d.Users = append(d.Users, w.users[id])
	}
	for _, id := range slices.Sorted(maps.Keys(w.rooms)) {
		r := w.rooms[id]
		d.Rooms = append(d.Rooms, savedRoom{
			Chat: r.chat, Messages: slices.Clone(r.messages), Members: slices.Sorted(maps.Keys(r.members)),
			Threads: slices.Sorted(maps.Keys(r.threads)), NextMessage: r.nextMessage, Started: r.started, Blocked: r.blocked,
			Topics: r.listTopics(), Keyboard: r.keyboard, KeyboardOf: r.keyboardOf, MenuButton: r.menuButton,
			Admins: slices.Sorted(maps.Keys(r.admins)), Creator: r.creator, BotGone: r.botGone, Migrated: r.migrated,
		})
	}
	for e := s.updates.pending.Front(); e != nil; e = e.Next() {
		u := e.Value.(*update) // the rest of it is the courier's
		d.Pending = append(d.Pending, &update{
			ID: u.ID, Kind: u.Kind, Body: u.Body, Chat: u.Chat, Queue: u.Queue, Created: u.Created, Expires: u.Expires,
		})
	}
	return d, true
}
