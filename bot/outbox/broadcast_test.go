package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/testenv"
)

// crowd is an audience of n people, whose numbers are 10, 20, … and chats 1010, 1020, …
func crowd(n int) func(context.Context, Audience, int64, int) ([]Reader, error) {
	return func(_ context.Context, _ Audience, after int64, most int) (page []Reader, err error) {
		for number := after + 10; number <= int64(n)*10 && len(page) < most; number += 10 {
			page = append(page, Reader{Number: number, Chat: 1000 + number})
		}
		return page, nil
	}
}

func (r *rig) start(name, state string) Broadcast {
	r.t.Helper()
	b, _, err := r.box.Start(r.t.Context(), Broadcast{
		Name: name, State: state, Message: bot.Message{Text: "news " + name}, Audience: Audience{Language: "ru"}, StartedBy: "test",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) tend(people int) {
	r.t.Helper()
	if err := r.box.Tend(r.t.Context(), crowd(people)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) progress(id int64) Progress {
	r.t.Helper()
	p, err := r.box.Progress(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func TestBroadcastReachesEverybodyOnce(t *testing.T) {
	r := newRig(t)
	r.post.answer = func(_ context.Context, m bot.Message) error {
		if m.ChatID == 1020 {
			return bot.ErrBlocked
		}
		if m.ChatID == 1030 {
			return &bot.APIError{Code: 400}
		}
		return nil
	}
	b := r.start("one", Running)
	if again := r.start("one", Running); again.ID != b.ID {
		t.Fatalf("started twice: %+v", again)
	}
	if _, _, err := r.box.Start(t.Context(), Broadcast{Name: "one", Message: bot.Message{Text: "other"}, StartedBy: "test"}); !errors.Is(err, ErrBroadcastName) {
		t.Errorf("another message of the name: %v", err)
	}
	const people = 2*fillAtOnce + 7
	r.tend(people)
	r.tend(people) // nothing more to do
	if p := r.progress(b.ID); p.Total != people || !p.Filled || p.State != Running || p.Audience.Language != "ru" || p.Message.Text != "news one" {
		t.Fatalf("filled: %+v", p)
	}
	r.courier(claimLife)
	r.courier(claimLife)
	testenv.Until(r.t, "nothing waits", func() bool { return r.states()["waiting"] == 0 })
	r.tend(people)
	p := r.progress(b.ID)
	if p.State != Done || p.EndedAt.IsZero() || p.Sent != people-2 || p.Blocked != 1 || p.Failed != 1 || p.Repeated != 0 {
		t.Errorf("ended: %+v", p)
	}
	got := map[int64]int{}
	for _, m := range r.post.sent {
		got[m.ChatID]++
		if m.Text != "news one" {
			t.Fatalf("sent %q", m.Text)
		}
	}
	for chat, n := range got {
		if n != 1 {
			t.Errorf("chat %d: %d times", chat, n)
		}
	}
	if len(got) != people-2 {
		t.Errorf("%d were reached", len(got))
	}
	if err := r.box.Set(t.Context(), b.ID, Paused); !errors.Is(err, ErrBroadcastEnded) {
		t.Errorf("paused after its end: %v", err)
	}
}

func TestBroadcastIsPausedAndCancelled(t *testing.T) {
	r := newRig(t)
	b := r.start("one", Paused)
	forgotten := r.start("forgotten", Paused)
	if _, err := r.pool.Exec(t.Context(), `update broadcasts set created_at = now() - interval '8 days' where id = $1`, forgotten.ID); err != nil {
		t.Fatal(err)
	}
	r.tend(50)
	if p := r.progress(forgotten.ID); p.State != Cancelled || p.EndedAt.IsZero() {
		t.Errorf("a week after nobody let it run: %+v", p)
	}
	if p := r.progress(b.ID); p.Total != 0 || p.State != Paused {
		t.Fatalf("filled while paused: %+v", p)
	}
	set := func(state string) {
		t.Helper()
		for range 2 {
			if err := r.box.Set(t.Context(), b.ID, state); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(Running)
	r.tend(50)
	if _, err := r.box.claim(t.Context(), 3, time.Minute); err != nil { // on their way
		t.Fatal(err)
	}
	set(Paused)
	if some, err := r.box.claim(t.Context(), 3, time.Minute); err != nil || len(some) != 0 {
		t.Fatalf("claimed of a paused one: %v, %v", some, err)
	}
	r.put("notice", 7, "a notice passes")
	stop := r.courier(claimLife)
	testenv.Until(r.t, "the notice is sent", func() bool { return len(r.post.texts()) == 1 })
	stop()
	set(Cancelled)
	r.tend(50)
	if p := r.progress(b.ID); p.State != Cancelled || p.Cancelled != 47 || p.Waiting != 3 || !p.EndedAt.IsZero() {
		t.Errorf("cancelled: %+v", p)
	}
	if _, err := r.pool.Exec(t.Context(), `update outbox set due_at = now() where state = 'waiting'`); err != nil { // their claims ran out
		t.Fatal(err)
	}
	r.tend(50)
	if p := r.progress(b.ID); p.Cancelled != 50 || p.EndedAt.IsZero() {
		t.Errorf("ended: %+v", p)
	}
	if err := r.box.Set(t.Context(), 12345, Paused); !errors.Is(err, ErrBroadcastUnknown) {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := r.box.Progress(t.Context(), 12345); !errors.Is(err, ErrBroadcastUnknown) {
		t.Errorf("an unknown one: %v", err)
	}
}

// A courier dies with all its slots claimed, of which some were sent: everybody gets the
// message, and no more than those slots get it twice, each counted.
func TestBroadcastGoesOnAfterACrash(t *testing.T) {
	r := newRig(t)
	const people, hold = 100, 300 * time.Millisecond
	b := r.start("one", Running)
	r.tend(people)
	lost, err := r.box.claim(t.Context(), Slots, hold)
	if err != nil || len(lost) != Slots {
		t.Fatal(lost, err)
	}
	for _, m := range lost[:Slots/2] {
		if _, err := r.post.Send(t.Context(), m.message); err != nil {
			t.Fatal(err)
		}
	}
	r.courier(hold)
	testenv.Until(r.t, "nothing waits", func() bool { return r.states()["waiting"] == 0 })
	got := map[int64]int{}
	for _, m := range r.post.sent {
		got[m.ChatID]++
	}
	twice := 0
	for _, n := range got {
		twice += n - 1
	}
	p := r.progress(b.ID)
	if len(got) != people || twice != Slots/2 || p.Repeated != Slots || p.Sent != people {
		t.Errorf("%d reached, %d of them twice; %+v", len(got), twice, p)
	}
}

func TestWhatIsShownOfBroadcasts(t *testing.T) {
	r := newRig(t)
	b := r.start("one", Running)
	r.start("two", Running)
	if err := r.box.Show(t.Context(), b.ID, 7, 70); err != nil {
		t.Fatal(err)
	}
	if err := r.box.Shown(t.Context(), b.ID, "half"); err != nil {
		t.Fatal(err)
	}
	list, err := r.box.ToShow(t.Context())
	if err != nil || len(list) != 1 || list[0].ReportChat != 7 || list[0].ReportMessage != 70 || list[0].Reported != "half" {
		t.Errorf("to show: %+v, %v", list, err)
	}
	all, err := r.box.Broadcasts(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "two" {
		t.Errorf("all: %+v, %v", all, err)
	}
	if _, err := r.pool.Exec(t.Context(), `update broadcasts set ended_at = now() - interval '31 days', state = 'done'`); err != nil {
		t.Fatal(err)
	}
	if err := r.box.Forget(t.Context(), 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if all, err := r.box.Broadcasts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left: %s, %v", fmt.Sprint(all), err)
	}
}
