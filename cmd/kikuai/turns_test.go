package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2ETurns walks what a person can do about an answer: choose who gives it, tell the
// model how, ask again, change the question, and take the conversation along.
func TestE2ETurns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	heard := map[*telegramsim.Message]bool{}
	hear := func(pattern string) telegramsim.Call {
		t.Helper()
		match := said(pattern)
		call, err := s.telegram.WaitSent(ctx, person, func(c telegramsim.Call) bool { return match(c) && !heard[c.Message] })
		if err != nil {
			t.Fatalf("no message like %q: %v", pattern, err)
		}
		heard[call.Message] = true
		return call
	}
	tell := func(text string) *telegramsim.Message {
		t.Helper()
		m, err := s.telegram.Say(person, text)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	press := func(m *telegramsim.Message, prefix string) {
		t.Helper()
		data := regexp.MustCompile(`"(` + regexp.QuoteMeta(prefix) + `[^"]*)"`).FindStringSubmatch(string(m.ReplyMarkup))
		if data == nil {
			t.Fatalf("no button %q in %s", prefix, m.ReplyMarkup)
		}
		if _, err := s.telegram.Press(person, person, m.MessageID, data[1]); err != nil {
			t.Fatal(err)
		}
	}
	edited := func(pattern string) {
		t.Helper()
		expression := regexp.MustCompile(pattern)
		if _, err := s.telegram.WaitCall(ctx, func(c telegramsim.Call) bool {
			return c.Method == "editMessageText" && expression.MatchString(c.Params["text"])
		}); err != nil {
			t.Fatalf("no edit like %q: %v", pattern, err)
		}
	}

	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	question := tell("one two")
	hear(`^one two\n\n\$`)
	tell("/retry")
	hear(`^one two\n\n\$`)
	tell("/system Be brief.")
	hear(`Be brief\.`)
	tell("/model")
	list := hear(`answered by echo`)
	if !strings.Contains(string(list.Message.ReplyMarkup), "exact · $0.00 / $1.00") {
		t.Errorf("buttons %s", list.Message.ReplyMarkup)
	}
	press(list.Message, "model:exact")
	edited(`answered by exact`)
	tell("three")
	hear(`[\s\S]+\n\n\$0\.0001 `) // a hundred tokens at a dollar a million
	asked := s.model.Requests()
	last := asked[len(asked)-1]
	if body := string(last.Body); last.Model != "sim-tokens-100" || !strings.Contains(body, "Be brief.") || strings.Count(body, "one two") != 2 {
		t.Errorf("asked %s %s", last.Model, body)
	}
	tell("/model echo")
	hear(`answered by echo`)

	if _, err := s.telegram.Edit(person, person, question.MessageID, "four five"); err != nil {
		t.Fatal(err)
	}
	press(hear(`You changed your question`).Message, "anew:")
	hear(`^four five\n\n\$`)
	tell("/export")
	if _, err := s.telegram.WaitCall(ctx, func(c telegramsim.Call) bool { return c.Method == "sendDocument" }); err != nil {
		t.Fatal(err)
	}
	tell("/new")
	hear(`Forgotten`)
	tell("six")
	hear(`^six\n\n\$`)
	if asked := s.model.Requests(); strings.Contains(string(asked[len(asked)-1].Body), "four five") {
		t.Error("the conversation is not forgotten")
	}
	if v := s.telegram.Violations(); len(v) > 0 {
		t.Errorf("calls that Telegram does not take: %+v", v)
	}
	serve.stop()
	s.reconciled()
}

// TestE2EStoppedTurnOutlivesItsServer: the server dies between the press and the end of the
// answer; the next one neither asks the model again nor charges twice.
func TestE2EStoppedTurnOutlivesItsServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.model.Assign("sim-echo", llmsim.Script{Text: strings.Repeat(rollingWord, 400), Cadence: stopsCadence})
	s.withFailpoints()
	s.env["KIKUAI_FAILPOINT"] = "chat.settled"
	first := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.Say(person, "tell me"); err != nil {
		t.Fatal(err)
	}
	s.until(time.Minute, "the answer on the screen", func() bool {
		d := s.telegram.Draft(person)
		return d != nil && strings.Contains(d.Text, "the the")
	})
	if err := s.telegram.Stop(person, s.telegram.Draft(person).DraftID); err != nil {
		t.Fatal(err)
	}
	<-first.ended // paid, and not remembered
	asked := s.model.Count()
	delete(s.env, "KIKUAI_FAILPOINT")
	second := s.serve()
	s.until(time.Minute, "the turn has its end", func() bool { return strings.HasPrefix(lastOf(s.telegram, person), "Stopped.") })
	s.until(time.Minute, "the call is in the ledger", func() bool { return s.one(`select count(*) from usage`) == 1 })
	if n := s.model.Count() - asked; n != 0 {
		t.Errorf("the model was asked %d times more", n)
	}
	second.stop()
	s.reconciled()
	if n := s.one(`select count(*) from usage where captured_nano > 0`); n != 1 {
		t.Errorf("charged %d times", n)
	}
}
