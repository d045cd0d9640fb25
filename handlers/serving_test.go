package handlers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// serving is a rig whose updates go through the inbox and the dispatcher.
type serving struct {
	*rig
	client *redis.Client
	inbox  *bot.Inbox
	log    *prometheus.Registry
}

// serve lets the rig's router handle what people send, until the test's end.
func (r *rig) serve() *serving {
	r.t.Helper()
	client := r.router.Redis.(*redis.Client)
	s := &serving{rig: r, client: client, inbox: bot.NewInbox(client), log: prometheus.NewRegistry()}
	waiting := *client.Options()
	waiting.MaintNotificationsConfig, waiting.PushNotificationProcessor = nil, nil
	waiting.PoolSize = 3*stream.Shards + 2 // each lane of each shard waits on one
	blocking := redis.NewClient(&waiting)
	r.t.Cleanup(func() { _ = blocking.Close() })
	dispatcher := bot.NewDispatcher(bot.DispatcherOptions{
		Redis: client, Blocking: blocking, Handler: r.router, Log: testenv.Logger(r.t), Registerer: s.log, Drain: time.Second,
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "inbox", Redis: client, Log: testenv.Logger(r.t)}),
	})
	poller := bot.NewPoller(bot.PollerOptions{Token: token, ServerURL: r.telegram.URL(), Inbox: s.inbox, Log: testenv.Logger(r.t)})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, run := range []func(context.Context) error{dispatcher.Run, poller.Run} {
		all.Go(func() {
			if err := run(ctx); err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	r.answered(1) // the welcome: from here on all is open
	return s
}

// answered waits until the bot has written so many messages to the person and returns them.
func (r *rig) answered(n int) (texts []string) {
	r.t.Helper()
	testenv.Until(r.t, "answered", func() bool {
		texts = nil
		for _, m := range r.telegram.Messages(person) {
			if m.FromBot() {
				texts = append(texts, m.Text)
			}
		}
		return len(texts) >= n
	})
	return texts
}

// settled waits until all updates are acknowledged, and wants none of them given up.
func (s *serving) settled() {
	s.t.Helper()
	ctx := context.Background()
	testenv.Until(s.t, "all is acknowledged", func() bool {
		var left int64
		for n := range stream.Shards {
			for _, lane := range []string{"inbox", "urgent", "checkout"} {
				left += s.client.XLen(ctx, stream.Shard(n).Key(lane)).Val()
			}
		}
		return left == 0
	})
	dead, err := bot.NewDeadLetters(s.client).List(ctx, 10)
	if err != nil || len(dead) > 0 {
		s.t.Errorf("dead letters: %+v, %v", dead, err)
	}
}

// silence is a clock whose waits never end.
type silence struct {
	mu    sync.Mutex
	waits []time.Duration
}

func (s *silence) after(d time.Duration) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = append(s.waits, d)
	return nil
}

// asked returns the waits so far.
func (s *silence) asked() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.waits)
}

// slow makes the model's first word take a second.
func (r *rig) slow() {
	r.streams = func(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
		select {
		case <-ctx.Done():
			return llm.ChatAnswer{}, ctx.Err()
		case <-time.After(time.Second):
		}
		answer, err := r.answer(call)
		return answer, errors.Join(err, onText(answer.Text))
	}
}

// asked is the question of the last call.
func (r *rig) asked() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.calls[len(r.calls)-1].Messages
	return m[len(m)-1].Content
}

// talker is a model that pauses after its first word.
type talker struct {
	completer interface {
		Complete(context.Context, llm.ChatCall, func(string) error) (llm.ChatAnswer, error)
	}
	pause func()
}

func (m talker) Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	return m.completer.Complete(ctx, call, func(text string) error {
		err := onText(text)
		m.pause()
		return err
	})
}

// A message that stands alone waits for nothing.
func TestLoneMessageWaitsForNothing(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	var clock silence
	s.router.Talk.After = clock.after
	for i, text := range []string{"hello", strings.Repeat("long ", 799)} {
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
		s.answered(2 + i)
	}
	s.settled()
	if waits := clock.asked(); len(waits) != 0 || len(s.calls) != 2 {
		t.Errorf("waited %v, asked %d times", waits, len(s.calls))
	}
}

// A text that an app cut is one question, put together as it was, however quick the model.
func TestSplitPasteIsOneTurn(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 1200)
	for name, slow := range map[string]bool{"instant": false, "a second": true} {
		t.Run(name, func(t *testing.T) {
			s := newRig(t).serve()
			if slow {
				s.slow()
			}
			if sent, err := s.telegram.Paste(telegramsim.Saying{User: person, Text: text}); err != nil || len(sent) != 3 {
				t.Fatal(len(sent), err)
			}
			s.answered(2)
			s.settled()
			if answers := s.answered(2); s.asked() != text || len(s.calls) != 1 || len(answers) > 2+len(text)/4000 {
				t.Errorf("%d calls, %d answers, the last question has %d characters", len(s.calls), len(answers), len(s.asked()))
			}
			s.once(3)
		})
	}
}

// once wants the effect of so many of the newest updates to be there, all of one turn.
func (s *serving) once(updates int) {
	s.t.Helper()
	ctx := context.Background()
	turns := map[string]int{}
	keys, err := s.client.Keys(ctx, stream.ShardOfChat(person).Key("answer")+":*").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, key := range keys {
		value := s.client.Get(ctx, key).Val()
		if turn, _, found := strings.Cut(value, ","); found {
			turns[turn]++
		}
	}
	for _, n := range turns {
		if n == updates {
			return
		}
	}
	s.t.Errorf("%d updates are in no turn: %v", updates, turns)
}

// Quick messages are one question when they come before the first word of the answer.
func TestQuickMessagesAreOneTurn(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	s.slow()
	want := "one\n\ntwo\n\nthree\n\nfour\n\nfive"
	for _, text := range strings.Fields(want) {
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
	}
	s.answered(2)
	s.settled()
	if answers := s.answered(2); len(answers) != 2 || !strings.Contains(answers[1], want) || s.asked() != want {
		t.Errorf("answers %q, asked %q", answers[1:], s.asked())
	}
	s.once(5)
}

// What comes after the first word of an answer is the next question; then what waits is
// one question again.
func TestPieceAfterTheFirstWordIsTheNextTurn(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	speaking, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	plain := s.router.Talk.Completer
	s.router.Talk.Completer = talker{plain, func() {
		once.Do(func() {
			close(speaking)
			<-goOn
		})
	}}
	say := func(text string) {
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
	}
	say("first")
	<-speaking
	say("second")
	say("third")
	testenv.Until(s.t, "both wait", func() bool { return s.client.XLen(t.Context(), stream.ShardOfChat(person).Key("inbox")).Val() == 3 })
	close(goOn)
	s.answered(3)
	s.settled()
	if answers := s.answered(3); len(answers) != 3 || !strings.HasPrefix(answers[1], "You said first") || !strings.HasPrefix(answers[2], "You said second\n\nthird") {
		t.Errorf("answers %q", answers)
	}
}

// A piece that comes while the model thinks makes the turn begin again, with all of it.
func TestPieceBeforeTheFirstWordRestartsTheTurn(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	thinking := make(chan struct{}, 1)
	s.streams = func(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
		if m := call.Messages[len(call.Messages)-1]; !strings.HasSuffix(m.Content, "second") {
			thinking <- struct{}{}
			<-ctx.Done()
			return llm.ChatAnswer{}, ctx.Err()
		}
		answer, err := s.answer(call)
		return answer, errors.Join(err, onText(answer.Text))
	}
	for _, text := range []string{"first", "second"} {
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
		if text == "first" {
			<-thinking
		}
	}
	s.answered(2)
	s.settled()
	if answers := s.answered(2); len(answers) != 2 || !strings.HasPrefix(answers[1], "You said first\n\nsecond") {
		t.Errorf("answers %q", answers[1:])
	}
	s.once(2)
}
