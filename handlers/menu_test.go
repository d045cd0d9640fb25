package handlers

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/handlers/texts"
)

// TestMenuIsTrue: what menus list can be done, by whom it is listed for, and what can be
// done is listed.
func TestMenuIsTrue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hidden := map[string]bool{"start": true}
	listed := map[string]bool{}
	shape := regexp.MustCompile(`^[a-z0-9_]{1,32}$`)
	for _, e := range entries() {
		switch {
		case listed[e.command]:
			t.Errorf("/%s is listed twice", e.command)
		case !shape.MatchString(e.command):
			t.Errorf("/%s is no command", e.command)
		case e.where&forAdmins != 0 && r.router.People.AdminCommand(e.command) == nil, e.where&inPrivate != 0 && r.router.commands[e.command] == nil:
			t.Errorf("/%s is listed and does nothing", e.command)
		}
		listed[e.command] = true
	}
	for name := range r.router.commands {
		if !listed[name] && !hidden[name] {
			t.Errorf("/%s is not listed", name)
		}
	}
}

func TestMenus(t *testing.T) {
	t.Parallel()
	const admin = 4711
	menus := Menus(book(t), []int64{admin})
	if want := 1 + 3*len(texts.Languages()) + 1; len(menus) != want {
		t.Errorf("%d menus, want %d", len(menus), want)
	}
	seen := map[string]bool{}
	for _, m := range menus[1:] {
		for _, c := range m.Commands {
			if c.Description == "" || c.Description[0] == '.' {
				t.Errorf("%s: /%s has no words", m.Language, c.Command)
			}
		}
		scope, is := m.Scope.(*models.BotCommandScopeChat)
		if !is {
			continue
		}
		for _, c := range m.Commands {
			seen[c.Command] = true
		}
		if scope.ChatID != int64(admin) || !seen["broadcast"] || !seen["balance"] {
			t.Errorf("the admin's menu: %+v", m)
		}
	}
	for _, m := range Menus(book(t), nil) {
		for _, c := range m.Commands {
			if c.Command == "broadcast" {
				t.Errorf("%v lists what admins do", m)
			}
		}
	}
}

// TestAdminMenuAtStart: an admin of the house who starts the bot is shown their menu, and
// nobody else.
func TestAdminMenuAtStart(t *testing.T) {
	r := newRig(t)
	shown := func() (n int) {
		for _, c := range r.telegram.Calls() {
			if c.Method == "setMyCommands" && strings.Contains(c.Params["scope"], strconv.Itoa(person)) && strings.Contains(c.Params["commands"], "broadcast") {
				n++
			}
		}
		return n
	}
	r.say("/start")
	if n := shown(); n != 0 {
		t.Errorf("%d menus for anybody", n)
	}
	r.router.Admins = []int64{person}
	r.say("/start")
	if n := shown(); n != 1 {
		t.Errorf("%d menus", n)
	}
}
