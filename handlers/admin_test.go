package handlers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// adminRig is a rig whose person is an admin, with an outbox.
func adminRig(t *testing.T) *rig {
	t.Helper()
	pool := testenv.Postgres(t)
	r := newRigOn(t, pool)
	r.router.Outbox, r.router.Admins = outbox.New(pool), []int64{person}
	return r
}

// courier delivers until the test's end.
func (r *rig) courier() {
	c := outbox.NewCourier(outbox.CourierOptions{
		Outbox: r.router.Outbox, Sender: bot.NewBatcher(r.router.Sender), Log: testenv.Logger(r.t), Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// readers come to the bot, speaking Russian, and return how many they are.
func (r *rig) readers(first int64, n int) {
	r.t.Helper()
	for id := first; id < first+int64(n); id++ {
		r.telegram.User(id, "Reader")
		if _, err := r.telegram.StartBot(id, ""); err != nil {
			r.t.Fatal(err)
		}
		if _, _, err := r.desk.Accounts.Open(r.t.Context(), billing.Profile{TelegramID: id, Name: "Reader", Language: "ru"}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// pressLast presses the n-th button under the bot's last message.
func (r *rig) pressLast(data string) {
	r.t.Helper()
	messages := r.telegram.Messages(person)
	for i := len(messages) - 1; i >= 0; i-- {
		if m := messages[i]; m.FromBot() && len(m.ReplyMarkup) > 0 {
			r.updates++
			r.handle(r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"q%d","chat_instance":"1","data":%q,
				"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"message":{"message_id":%d,"date":1790000000,"chat":{"id":%d,"type":"private"}}}}`,
				r.updates, r.updates, data, person, m.MessageID, person)))
			return
		}
	}
	r.t.Fatal("no message has buttons")
}

func TestBroadcastFromTheChat(t *testing.T) {
	t.Parallel()
	r := adminRig(t)
	r.say("/start")
	r.readers(9001, 12)
	if err := r.telegram.Block(9003, true); err != nil {
		t.Fatal(err)
	}
	r.courier()
	r.say("/broadcast")
	r.heard(`^Reply with /broadcast`)
	r.say("/broadcast klingon! now")
	r.heard(`^Reply with /broadcast`)
	r.say("/broadcast fr\nBonjour")
	r.heard(`^Nobody`)

	const text = "/broadcast ru\n\nBold news"
	r.updates++
	u := r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":1,"date":1790000000,"text":%q,
		"entities":[{"type":"bot_command","offset":0,"length":10},{"type":"bold","offset":15,"length":4}],
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private"}}}`, r.updates, text, person, person))
	r.handle(u)
	r.handle(u) // a redelivery asks again, and begins no second one
	r.heard(`^That goes to 12 people \(language ru\)`)
	list, err := r.router.Outbox.Broadcasts(t.Context())
	if err != nil || len(list) != 1 || list[0].State != outbox.Paused {
		t.Fatalf("broadcasts: %+v, %v", list, err)
	}
	id := list[0].ID
	tend := func() outbox.Progress {
		t.Helper()
		if err := r.router.People.TendBroadcasts(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := r.router.Outbox.Progress(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := tend(); p.Total != 0 {
		t.Errorf("it goes out without being told to: %+v", p)
	}
	r.pressLast(fmt.Sprintf("cast:send:%d", id))
	for deadline := time.Now().Add(20 * time.Second); tend().State != outbox.Done; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not done: %+v", tend())
		}
	}
	if p := tend(); p.Sent != 11 || p.Blocked != 1 {
		t.Errorf("progress: %+v", p)
	}
	r.heard(`(?s)^Broadcast 1: done\n12 of 12 · 100 %\nSent 11 · out of reach 1 · refused 0`)
	for id := int64(9001); id < 9013; id++ {
		got := r.sentTo(id)
		if id == 9003 {
			if len(got) != 0 {
				t.Errorf("%d blocked the bot and got %d messages", id, len(got))
			}
			continue
		}
		if len(got) != 1 || got[0].Text != "Bold news" || len(got[0].Entities) != 1 || got[0].Entities[0].Offset != 0 || got[0].Entities[0].Length != 4 {
			t.Errorf("%d got %+v", id, got)
		}
	}
	r.pressLast(fmt.Sprintf("cast:send:%d", id)) // of its preview, which says the same still
	for _, violation := range r.telegram.Violations() {
		t.Error(violation.Err)
	}
}

func (r *rig) sentTo(chat int64) (got []*telegramsim.Message) {
	for _, m := range r.telegram.Messages(chat) {
		if m.FromBot() {
			got = append(got, m)
		}
	}
	return got
}

func TestBanFromTheChat(t *testing.T) {
	t.Parallel()
	r := adminRig(t)
	r.say("/ban")
	r.heard(`/ban and their Telegram id`)
	r.say("/ban nobody")
	r.heard(`/ban and their Telegram id`)
	r.say(fmt.Sprintf("/ban %d", person))
	r.heard(`cannot be banned`)
	// At once, unless the account's shard is not open yet: then as soon as it is.
	want := func(id int64, status string) {
		t.Helper()
		var account billing.Account
		var err error
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if account, err = r.desk.Accounts.ByTelegram(t.Context(), id); err == nil && account.Status == status {
				return
			}
		}
		t.Fatalf("%d is %q, want %q (%v)", id, account.Status, status, err)
	}
	r.say("/ban 9001")
	r.heard(`^9001 is banned`)
	want(9001, billing.StatusSuspended)
	r.say("/unban 9001")
	r.heard(`^9001 may spend again`)
	want(9001, billing.StatusActive)
	r.updates++
	r.handle(r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":1,"date":1790000000,"text":"/ban",
		"reply_to_message":{"message_id":2,"date":1790000000,"chat":{"id":%d,"type":"private"},"text":"rude",
			"forward_origin":{"type":"user","date":1790000000,"sender_user":{"id":9002,"is_bot":false,"first_name":"B"}}},
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private"}}}`, r.updates, person, person, person)))
	want(9002, billing.StatusSuspended)
	r.say("/stats")
	r.heard(`(?s)banned 1\n.*Messages waiting: 0$`)
}

// Who is no admin does not learn that there are such commands.
func TestAdminCommandsOfOthers(t *testing.T) {
	t.Parallel()
	r := adminRig(t)
	r.router.Admins = []int64{1}
	for _, name := range []string{"stats", "ban", "unban", "broadcast"} {
		r.say("/" + name + " 9001")
		r.heard(`^I do not know /` + name)
	}
	b, _, err := r.router.Outbox.Start(t.Context(), outbox.Broadcast{
		Name: "one", State: outbox.Paused, Message: bot.Message{Text: "x"}, StartedBy: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.handle(r.button(fmt.Sprintf("cast:send:%d", b.ID)))
	if p, err := r.router.Outbox.Progress(t.Context(), b.ID); err != nil || p.State != outbox.Paused {
		t.Errorf("started by somebody: %+v, %v", p, err)
	}
}

// A person who blocks the bot is left alone, also by what was put into the outbox; who
// lets it in again is written to.
func TestMembership(t *testing.T) {
	t.Parallel()
	r := adminRig(t)
	change := func(was, is string) {
		r.updates++
		r.handle(r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"my_chat_member":{"date":1790000000,"chat":{"id":%d,"type":"private"},
			"from":{"id":%d,"is_bot":false,"first_name":"Ada"},
			"old_chat_member":{"user":{"id":424242,"is_bot":true,"first_name":"K"},"status":%q,"until_date":0},
			"new_chat_member":{"user":{"id":424242,"is_bot":true,"first_name":"K"},"status":%q,"until_date":0}}}`, r.updates, person, person, was, is)))
	}
	send := func() error {
		_, err := r.router.Sender.Send(t.Context(), bot.Message{ChatID: person, Text: "x"})
		return err
	}
	change("member", "kicked")
	if err := send(); err == nil {
		t.Error("sent to who blocked the bot")
	}
	change("kicked", "member")
	if err := send(); err != nil {
		t.Errorf("after the bot was let in again: %v", err)
	}
}
