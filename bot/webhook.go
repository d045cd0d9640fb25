package bot

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/kikuai/kikuai/internal/failpoint"
)

const (
	secretHeader = "X-Telegram-Bot-Api-Secret-Token"
	retryAfter   = "1"             // seconds, while Redis is away
	logEvery     = 5 * time.Second // the same trouble is logged no more often
)

// WebhookOptions are what [NewWebhook] needs.
type WebhookOptions struct {
	Inbox      *Inbox
	Secret     string // as given to setWebhook; may not be empty
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Webhook takes updates from Telegram.
type Webhook struct {
	inbox  *Inbox
	secret []byte
	log    *slog.Logger
	quiet  *quiet

	received [unreadable + 1]prometheus.Counter // by outcome
	refused  [refusals]prometheus.Counter
}

const (
	refusedSecret = iota
	refusedSize
	refusedEncoding
	refusedRedis
	refusals
)

// NewWebhook returns the handler of POST /webhook. It panics on an empty secret, which
// would let anyone in.
func NewWebhook(o WebhookOptions) *Webhook {
	if o.Secret == "" {
		panic("bot: webhook without a secret")
	}
	requests := promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "telegram_webhook_requests_total",
		Help: "Requests to the webhook by what became of them.",
	}, []string{"outcome"})
	w := &Webhook{inbox: o.Inbox, secret: []byte(o.Secret), log: o.Log, quiet: newQuiet(logEvery)}
	for i, name := range [...]string{appended: "appended", duplicate: "duplicate", unreadable: "unreadable"} {
		w.received[i] = requests.WithLabelValues(name)
	}
	for i, name := range [...]string{
		refusedSecret: "wrong_secret", refusedSize: "too_large", refusedEncoding: "encoded", refusedRedis: "redis_away",
	} {
		w.refused[i] = requests.WithLabelValues(name)
	}
	return w
}

// Handle answers one delivery: 200 once the update is kept or was seen before, 401 for
// a wrong secret, 413 above 1 MiB, 415 for an encoded body, and 503 with Retry-After
// while Redis cannot keep it. The body limit of the server must be above 1 MiB for the
// 413 to come from here.
func (w *Webhook) Handle(c *fiber.Ctx) error {
	request := c.Request()
	if subtle.ConstantTimeCompare(request.Header.Peek(secretHeader), w.secret) != 1 {
		w.refused[refusedSecret].Inc()
		return c.SendStatus(fiber.StatusUnauthorized)
	}
	if len(request.Header.Peek(fiber.HeaderContentEncoding)) != 0 {
		w.refused[refusedEncoding].Inc()
		return c.SendStatus(fiber.StatusUnsupportedMediaType)
	}
	body := request.Body()
	if len(body) > bodyMost {
		w.refused[refusedSize].Inc()
		return c.SendStatus(fiber.StatusRequestEntityTooLarge)
	}
	// The copy outlives this request: a pipeline may still hold it after a timeout. The
	// context must not be the request's, which ends when the server begins to stop.
	result, err := w.inbox.put(context.Background(), string(body))
	if err != nil {
		return w.away(c, err)
	}
	failpoint.Here("webhook.persisted")
	w.received[result].Inc()
	if result == unreadable && w.quiet.may() {
		w.log.Warn("unreadable update kept as a dead letter", "bytes", len(body))
	}
	c.Status(fiber.StatusOK)
	return nil
}

func (w *Webhook) away(c *fiber.Ctx, err error) error {
	w.refused[refusedRedis].Inc()
	if w.quiet.may() {
		w.log.Error("update not kept, Telegram will deliver it again", "error", err, "refused_by_redis", isRefusal(err))
	}
	c.Set(fiber.HeaderRetryAfter, retryAfter)
	return c.SendStatus(fiber.StatusServiceUnavailable)
}
