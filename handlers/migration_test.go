package handlers

import (
	"slices"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestGroupGrows: the conversation and the model of a group go with it to its new id, in
// front of what was said there before the word of it came, and only once.
func TestGroupGrows(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	small, err := c.telegram.BasicGroup("Small", person)
	if err != nil {
		t.Fatal(err)
	}
	c.chat = small
	c.write(person, "/ask one", 0)
	c.last(1)
	c.rig.choose(small.ID, 0, "model", "own-model")
	var grown telegramsim.Chat
	if grown, err = c.telegram.Upgrade(person, small.ID); err != nil {
		t.Fatal(err)
	}
	testenv.Until(c.t, "it moves", func() bool { return len(c.talk(grown.ID, 0).turns) == 1 })
	c.settled()
	if k := c.talk(grown.ID, 0); k.choices["model"] != "own-model" || k.turns[0] != "one" || gjson.Get(k.gist["pieces"], "#").Int() != 1 {
		t.Errorf("moved %+v", k)
	}
	if k := c.talk(small.ID, 0); len(k.turns) != 0 || len(k.choices) != 0 || len(k.gist) != 0 {
		t.Errorf("left behind %+v", k)
	}
	c.chat = grown
	c.write(person, "@KikuBot two", 0)
	c.last(1)
	if n := len(c.calls[1].Messages); n != 3 {
		t.Errorf("%d messages of context", n)
	}
	c.write(person, "/retry@KikuBot", 0)
	c.last(2)
	if c.asked() != "two" {
		t.Errorf("asked %q", c.asked())
	}
}

// TestMoveTwice: word of the move comes again, or after the first question under the new id.
func TestMoveTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := func(chat, id int64, text string) {
		t.Helper()
		u := r.message(id, text)
		u.Message.Chat.ID = chat
		r.handle(u)
	}
	at(-5, 1, "one")
	at(-1005, 2, "two")
	for range 2 {
		if err := r.router.Talk.Move(t.Context(), -5, -1005); err != nil {
			t.Fatal(err)
		}
		at(-5, 3, "a straggler") // as if the first try had died before it forgot the old chat
	}
	if k := r.talk(-1005, 0); !slices.Equal(k.turns, []string{"one", "two"}) || k.gist["turn"] != "2" {
		t.Errorf("%+v", k)
	}
}
