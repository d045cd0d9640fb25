package bot

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// updatesServer answers getUpdates from a list, as Telegram does, and holds calls that
// have nothing to return.
func updatesServer(a *api, updates map[int64][]byte) {
	a.script(func(c call) reply {
		offset, _ := strconv.ParseInt(c.params["offset"], 10, 64)
		var due []string
		for id := range int64(1000) {
			if raw, ok := updates[id]; ok && id >= offset && len(due) < 3 {
				due = append(due, string(raw))
			}
		}
		if len(due) == 0 {
			return reply{wait: make(chan struct{})}
		}
		return reply{body: `{"ok":true,"result":[` + strings.Join(due, ",") + `]}`}
	})
}

func poll1(t *testing.T, a *api, inbox *Inbox) (stop func()) {
	t.Helper()
	p := NewPoller(PollerOptions{Token: testToken, ServerURL: a.url, HTTP: a.client, Inbox: inbox, Log: testenv.Logger(t)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

func TestPollerKeepsThenConfirms(t *testing.T) {
	a := newAPI(t)
	m := newMachine(t)
	updates := map[int64][]byte{}
	for id := int64(1); id <= 10; id++ {
		updates[id] = textUpdate(id, id, "hi")
	}
	updates[11] = []byte(`{"update_id":11}`)
	updatesServer(a, updates)
	stop := poll1(t, a, m.inbox)
	testenv.Until(t, "all are kept", func() bool { return m.left() == 11 })
	testenv.Until(t, "all are confirmed", func() bool {
		made := a.made("getUpdates")
		return made[len(made)-1].params["offset"] == "12"
	})
	stop()
	last := a.made("getUpdates")[0].params
	if last["timeout"] != "30" || !strings.Contains(last["allowed_updates"], `"stopped_message_generation"`) {
		t.Errorf("asked with %v", last)
	}
}

// While Redis is away nothing is confirmed: the same updates are asked for again.
func TestPollerDoesNotConfirmWhatIsNotKept(t *testing.T) {
	a := newAPI(t)
	m := newMachine(t)
	updatesServer(a, map[int64][]byte{1: textUpdate(1, 7, "hi"), 2: textUpdate(2, 7, "hi")})
	m.server.Pause()
	poll1(t, a, m.hasty())
	testenv.Until(t, "it is asked again", func() bool { return len(a.made()) >= 3 })
	for _, c := range a.made() {
		if c.params["offset"] != "0" {
			t.Errorf("confirmed up to %s", c.params["offset"])
		}
	}
	m.server.Resume()
	testenv.Until(t, "both are kept", func() bool { return m.left() == 2 })
}

func TestPollerRestsAfterFailures(t *testing.T) {
	a := newAPI(t)
	m := newMachine(t)
	a.script(func(call) reply {
		return refusal(409, "Conflict: can't use getUpdates method while webhook is active")
	})
	stop := poll1(t, a, m.inbox)
	time.Sleep(500 * time.Millisecond)
	stop()
	if n := len(a.made()); n < 1 || n > 4 {
		t.Errorf("%d calls in half a second", n)
	}
}

func TestWebhookAdministration(t *testing.T) {
	a := newAPI(t)
	client, err := NewClient(testToken, a.url+"/", a.client)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := SetWebhook(ctx, client, "https://example.org/webhook", "s3cret_-"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "with space", strings.Repeat("x", 257), "ключ"} {
		if err := SetWebhook(ctx, client, "https://example.org/webhook", bad); err == nil {
			t.Errorf("secret %q was taken", bad)
		}
	}
	if err := SetWebhook(ctx, client, "", "s3cret"); err == nil {
		t.Error("a webhook without an address was set")
	}
	if err := DeleteWebhook(ctx, client); err != nil {
		t.Error(err)
	}
	if err := SetMenuButton(ctx, client, "", ""); err != nil {
		t.Error(err)
	}
	if err := SetMenuButton(ctx, client, "Open", "https://example.org/webapp/"); err != nil {
		t.Error(err)
	}
	a.script(func(call) reply {
		return reply{body: `{"ok":true,"result":{"url":"u","has_custom_certificate":false,"pending_update_count":5,"id":1,"is_bot":true,"first_name":"B","username":"KikuBot"}}`}
	})
	if info, err := WebhookInfo(ctx, client); err != nil || info.PendingUpdateCount != 5 {
		t.Errorf("WebhookInfo: %+v, %v", info, err)
	}
	if me, err := Me(ctx, client); err != nil || me.Username != "KikuBot" {
		t.Errorf("Me: %+v, %v", me, err)
	}
	set := a.made("setWebhook")[0].params
	if set["max_connections"] != "40" || set["secret_token"] != "s3cret_-" || set["allowed_updates"] == "" {
		t.Errorf("setWebhook: %v", set)
	}
	for _, c := range a.made() {
		if c.params["drop_pending_updates"] != "" {
			t.Errorf("%s drops what waits", c.method)
		}
	}
	buttons := a.made("setChatMenuButton")
	if fmt.Sprint(buttons[0].params["menu_button"]) != `{"type":"commands"}` || !strings.Contains(buttons[1].params["menu_button"], `"web_app"`) {
		t.Errorf("menu buttons: %v", buttons)
	}
}
