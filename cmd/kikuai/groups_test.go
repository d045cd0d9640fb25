package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2EGroups sends the server what groups send a bot in privacy mode, lets the group
// grow and asks from another chat: each question is answered once and paid for by whoever
// asked, and the books balance.
func TestE2EGroups(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *telegramsim.Options) { o.Privacy = true })
	serve := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitSent(ctx, person, said(`Hello, Ada`)); err != nil {
		t.Fatal(err)
	}
	stranger := s.telegram.User(personID+1, "Bob").ID
	group, err := s.telegram.BasicGroup("Friends", person, stranger)
	if err != nil {
		t.Fatal(err)
	}
	name := s.telegram.Bot().Username
	write := func(who int64, text, says string) {
		t.Helper()
		if _, err := s.telegram.Send(telegramsim.Saying{User: who, Chat: group.ID, Text: text}); err != nil {
			t.Fatal(err)
		}
		like := regexp.MustCompile(says)
		s.until(20*time.Second, "there is a message like "+says, func() bool { // its last word is an edit
			return slices.ContainsFunc(s.telegram.Messages(group.ID), func(m *telegramsim.Message) bool { return m.FromBot() && like.MatchString(m.Text) })
		})
	}
	write(person, "/ask@"+name+" the first", `the first[\s\S]*\$`)
	write(stranger, "@"+name+" may I?", `start me in private`)
	if group, err = s.telegram.Upgrade(person, group.ID); err != nil {
		t.Fatal(err)
	}
	write(person, "@"+name+" the second", `the second[\s\S]*\$`)
	write(person, "/model@"+name, `answered by`)

	query, err := s.telegram.Type(person, "group", "the third?", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitCall(ctx, func(c telegramsim.Call) bool { return c.Method == "answerInlineQuery" }); err != nil {
		t.Fatal(err)
	}
	message, err := s.telegram.Choose(query, gjson.GetBytes(s.telegram.Offered(query).Results[0], "id").String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitCall(ctx, func(c telegramsim.Call) bool {
		return c.Params["inline_message_id"] == message && strings.Contains(c.Params["text"], "the third?")
	}); err != nil {
		t.Fatal(err)
	}
	serve.stop()
	s.reconciled()
}
