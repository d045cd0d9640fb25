package bot

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/internal/testenv"
)

// BenchmarkWebhook compares an acknowledged update with a bare handler that makes one
// one-line script call, both without the network before them.
func BenchmarkWebhook(b *testing.B) {
	client := testenv.Redis(b)
	pipe, err := client.AutoPipelineWithOptions(redis.DefaultBlockingAutoPipelineOptions())
	if err != nil {
		b.Fatal(err)
	}
	defer pipe.Close()
	body := func(id int64) []byte {
		return textUpdate(id, id%5000, "How far is it to the moon, and what would I see there?")
	}

	b.Run("bare", func(b *testing.B) {
		script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
		app := fiber.New()
		app.Post("/webhook", func(c *fiber.Ctx) error {
			if err := script.EvalSha(context.Background(), pipe, []string{"bare:{s00}"}).Err(); err != nil {
				return script.Eval(context.Background(), pipe, []string{"bare:{s00}"}).Err()
			}
			return c.SendStatus(fiber.StatusOK)
		})
		hammer(b, app, body)
	})
	b.Run("webhook", func(b *testing.B) {
		app := fiber.New()
		w := NewWebhook(WebhookOptions{Inbox: NewInbox(pipe), Secret: testSecret, Log: slog.New(slog.DiscardHandler)})
		app.Post("/webhook", w.Handle)
		hammer(b, app, body)
	})
}

var lastID atomic.Int64 // update ids are never used twice, or they would be duplicates

func hammer(b *testing.B, app *fiber.App, body func(int64) []byte) {
	handler := app.Handler()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		var c fasthttp.RequestCtx
		for p.Next() {
			c.Request.Reset()
			c.Response.Reset()
			c.Request.Header.SetMethod(fasthttp.MethodPost)
			c.Request.SetRequestURI("/webhook")
			c.Request.Header.Set(secretHeader, testSecret)
			c.Request.SetBodyRaw(body(lastID.Add(1)))
			handler(&c)
			if c.Response.StatusCode() != fiber.StatusOK {
				b.Error("status " + strconv.Itoa(c.Response.StatusCode()))
				return
			}
		}
	})
}
