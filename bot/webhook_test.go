package bot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

const testSecret = "correct-horse"

type door struct {
	*machine
	app      *fiber.App
	registry *prometheus.Registry
}

func newDoor(t *testing.T) *door {
	t.Helper()
	m := newMachine(t)
	registry := prometheus.NewRegistry()
	w := NewWebhook(WebhookOptions{Inbox: m.hasty(), Secret: testSecret, Log: testenv.Logger(t), Registerer: registry})
	app := fiber.New(fiber.Config{BodyLimit: 4 << 20, DisableStartupMessage: true})
	app.Post("/webhook", w.Handle)
	return &door{machine: m, app: app, registry: registry}
}

func (d *door) deliver(body []byte, header ...string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader(body))
	r.Header.Set(secretHeader, testSecret)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := d.app.Test(r, int(patience.Milliseconds()))
	if err != nil {
		d.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response
}

func TestWebhookStatuses(t *testing.T) {
	d := newDoor(t)
	update := textUpdate(1, 7, "hi")
	for _, c := range []struct {
		name   string
		body   []byte
		header []string
		want   int
		kept   int64 // entries and dead letters afterwards
	}{
		{"no secret", update, []string{secretHeader, ""}, 401, 0},
		{"wrong secret", update, []string{secretHeader, testSecret + "x"}, 401, 0},
		{"another secret of the same length", update, []string{secretHeader, "correct-hors_"}, 401, 0},
		{"encoded", update, []string{"Content-Encoding", "gzip"}, 415, 0},
		{"too large", bytes.Repeat([]byte(" "), bodyMost+1), nil, 413, 0},
		{"first", update, nil, 200, 1},
		{"again", update, nil, 200, 1},
		{"as large as may be", append(textUpdate(2, 7, "hi"), bytes.Repeat([]byte(" "), bodyMost-len(textUpdate(2, 7, "hi")))...), nil, 200, 2},
		{"not JSON", []byte(`{"update_id":`), nil, 200, 3},
		{"nothing", nil, nil, 200, 4},
		{"an array", []byte(`[1]`), nil, 200, 5},
		{"no id", []byte(`{"message":{}}`), nil, 200, 6},
		{"negative id", []byte(`{"update_id":-4,"message":{}}`), nil, 200, 7},
		{"fractional id", []byte(`{"update_id":4.5,"message":{}}`), nil, 200, 8},
		{"huge id", []byte(`{"update_id":9007199254740993,"message":{}}`), nil, 200, 9},
		{"id as text", []byte(`{"update_id":"5","message":{}}`), nil, 200, 10},
		{"unknown type", []byte(`{"update_id":6,"teleportation":{"chat":{"id":7}}}`), nil, 200, 11},
		{"no type", []byte(`{"update_id":7}`), nil, 200, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := d.deliver(c.body, c.header...).StatusCode; got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
			if kept := d.left() + int64(len(d.dead())); kept != c.kept {
				t.Errorf("%d kept, want %d", kept, c.kept)
			}
		})
	}
	for outcome, want := range map[string]float64{
		"appended": 4, "duplicate": 1, "unreadable": 8, "wrong_secret": 3, "too_large": 1, "encoded": 1,
	} {
		if got := metric(t, d.registry, "telegram_webhook_requests_total", outcome); got != want {
			t.Errorf("%s counted %v times, want %v", outcome, got, want)
		}
	}
}

func TestWebhookWhileRedisIsAway(t *testing.T) {
	d := newDoor(t)
	update := textUpdate(1, 7, "hi")
	d.server.Pause()
	response := d.deliver(update)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
		t.Errorf("frozen: %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
	if got := d.deliver([]byte("garbage")).StatusCode; got != 503 {
		t.Errorf("frozen, garbage: %d", got)
	}
	d.server.Resume()
	testenv.Until(t, "delivered after all", func() bool { return d.deliver(update).StatusCode == http.StatusOK })
	if left := d.left(); left != 1 {
		t.Errorf("%d entries", left)
	}
	d.server.Stop()
	if got := d.deliver(textUpdate(2, 7, "hi")).StatusCode; got != 503 {
		t.Errorf("stopped: %d", got)
	}
}

// A refusal in the middle of the script leaves either the entry and the claim, or
// neither: the update is never claimed and lost.
func TestClaimIsNeverWithoutTheUpdate(t *testing.T) {
	d := newDoor(t)
	ctx := context.Background()
	update := textUpdate(1, 7, "hi")
	inbox := stream.ShardOfChat(7).Key("inbox")
	if err := d.client.Set(ctx, inbox, "not a stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := d.deliver(update).StatusCode; got != 503 {
		t.Errorf("with a broken stream: %d", got)
	}
	if err := d.client.Del(ctx, inbox).Err(); err != nil {
		t.Fatal(err)
	}
	if got := d.deliver(update).StatusCode; got != 200 {
		t.Errorf("with the stream mended: %d", got)
	}
	if left := d.left(); left != 1 {
		t.Errorf("%d entries, want 1: the failed delivery had claimed the id", left)
	}
}

func TestClaimLastsOverMidnight(t *testing.T) {
	d := newDoor(t)
	ctx := context.Background()
	d.deliver(textUpdate(1, 7, "hi"))
	prefix := stream.ShardOfChat(7).Key("seen") + ":"
	now, err := d.client.Time(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	day := now.Unix() / 86400
	today, yesterday := fmt.Sprint(prefix, day), fmt.Sprint(prefix, day-1)
	if life, err := d.client.TTL(ctx, today).Result(); err != nil || life < 47*time.Hour || life > 48*time.Hour {
		t.Errorf("claims live %v (%v)", life, err)
	}
	if err := d.client.Rename(ctx, today, yesterday).Err(); err != nil {
		t.Fatal(err)
	}
	d.deliver(textUpdate(1, 7, "hi"))
	if left := d.left(); left != 1 {
		t.Errorf("%d entries: a claim of yesterday is forgotten", left)
	}
}

// The script's forgotten digest (a restart, SCRIPT FLUSH) costs nothing but a resend.
func TestWebhookSurvivesAForgottenScript(t *testing.T) {
	d := newDoor(t)
	d.deliver(textUpdate(1, 7, "hi"))
	if err := d.client.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := d.deliver(textUpdate(2, 7, "hi")).StatusCode; got != 200 {
		t.Errorf("status %d", got)
	}
}

func TestWebhookThroughAutoPipeline(t *testing.T) {
	m := newMachine(t)
	pipe, err := m.client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pipe.Close() }()
	inbox := NewInbox(pipe)
	for i := range int64(50) {
		if err := inbox.Append(context.Background(), textUpdate(i+1, i, strings.Repeat("x", 100))); err != nil {
			t.Fatal(err)
		}
	}
	if left := m.left(); left != 50 {
		t.Errorf("%d entries", left)
	}
}

// What is stored is a copy: the server reuses a request's memory at once.
func TestWebhookKeepsACopy(t *testing.T) {
	d := newDoor(t)
	first := textUpdate(1, 7, strings.Repeat("first", 10))
	d.deliver(first)
	d.deliver(textUpdate(2, 7, strings.Repeat("other", 10)))
	entries, err := d.client.XRange(context.Background(), stream.ShardOfChat(7).Key("inbox"), "-", "+").Result()
	if err != nil || len(entries) != 2 || entries[0].Values[fieldRaw] != string(first) {
		t.Errorf("entries %v (%v)", entries, err)
	}
}

func TestWebhookNeedsASecret(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a webhook without a secret was made")
		}
	}()
	NewWebhook(WebhookOptions{})
}

var _ inboxRedis = (*redis.AutoPipeliner)(nil)
