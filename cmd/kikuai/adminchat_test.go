package main

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2EAdmin: what an admin does from the chat with the bot, and on the command line.
func TestE2EAdmin(t *testing.T) {
	t.Parallel()
	const admin, reader = 5_100_001, 5_100_002
	s := newSite(t)
	s.env["ADMIN_TELEGRAM_IDS"] = fmt.Sprint(admin)
	serve := s.serve()
	s.arrange("webhook", "set")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	hear := func(person int64, pattern string) telegramsim.Call {
		t.Helper()
		shape := regexp.MustCompile(pattern)
		heard, err := s.telegram.WaitSent(ctx, person, func(c telegramsim.Call) bool {
			return (c.Method == "sendMessage" || c.Method == "editMessageText") && shape.MatchString(c.Params["text"])
		})
		if err != nil {
			t.Fatalf("nothing like %q: %v", pattern, err)
		}
		return heard
	}
	tell := func(person int64, text string) {
		t.Helper()
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, person := range []int64{admin, reader} {
		s.telegram.User(person, "Ada")
		if _, err := s.telegram.StartBot(person, ""); err != nil {
			t.Fatal(err)
		}
		hear(person, `Hello`)
	}
	tell(reader, "/stats")
	hear(reader, `I do not know /stats`)
	tell(admin, "/stats")
	hear(admin, `^People: 2, new today 2`)

	tell(admin, "/broadcast\nGood news")
	offer := hear(admin, `^That goes to 2 people`)
	press := func(data string) {
		t.Helper()
		if _, err := s.telegram.Press(admin, admin, offer.Message.MessageID, data); err != nil {
			t.Fatal(err)
		}
	}
	press("cast:send:1")
	hear(reader, `^Good news$`)
	hear(admin, `^Broadcast 1: done\n2 of 2`)

	tell(admin, fmt.Sprintf("/ban %d", reader))
	hear(admin, fmt.Sprintf(`^%d is banned`, reader))
	tell(reader, "hello?")
	hear(reader, `account is closed`)
	if calls := s.model.Count(); calls != 0 {
		t.Errorf("the model was called %d times for somebody who is banned", calls)
	}
	var standing standingAnswer
	s.admin(&standing, "unban", "--telegram-id", fmt.Sprint(reader))
	if standing.Status != "active" {
		t.Errorf("unbanned: %+v", standing)
	}
	tell(reader, "hello again")
	hear(reader, `hello again`)
	serve.stop()
	s.reconciled()
}
