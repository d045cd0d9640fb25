package handlers

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/till"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	starNano     = 13_000_000  // what a Star adds
	referralNano = 250_000_000 // for each side of an invitation
	pepper       = "a pepper of the tests, long enough"
)

// counter is the handlers with everything around them: updates come from the simulated
// Telegram through the inbox and the dispatcher, as in the program.
type counter struct {
	*rig
	metrics *prometheus.Registry
	redis   *redis.Client
	pool    *pgxpool.Pool
	ctx     context.Context
	mu      sync.Mutex
	model   func(context.Context) // what answering does first

	calling int // calls that were paid by hand
}

// Complete is the metered path of the tests.
func (c *counter) Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	c.mu.Lock()
	model := c.model
	c.calls = append(c.calls, call)
	c.mu.Unlock()
	if model != nil {
		model(ctx)
	}
	return llm.ChatAnswer{Text: "An answer."}, onText("An answer.")
}

func (c *counter) setAnswer(model func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model = model
}

// openCounter starts it. Telegram's clock is two minutes behind, so that what happened
// there is old enough to be compared with the books at once.
func openCounter(t *testing.T) *counter { return openCounterAt(t, -2*time.Minute) }

// openCounterAt starts it with Telegram's clock that much ahead of ours.
func openCounterAt(t *testing.T, ahead time.Duration) *counter {
	t.Helper()
	server := testenv.RedisServer(t)
	client, blocking := server.Client(), server.ClientWith(redis.Options{PoolSize: 128}) // 64 wait at a time
	log := testenv.Logger(t)
	telegram, err := telegramsim.Start(telegramsim.Options{Token: token, Username: "KikuBot", Log: log,
		Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = telegram.Close() })
	telegram.User(person, "Ada")
	web := bot.NewHTTPClient()
	t.Cleanup(web.CloseIdleConnections)
	api, err := bot.NewClient(token, telegram.URL(), web)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{metrics: prometheus.NewRegistry(), redis: client, pool: testenv.Postgres(t), rig: &rig{t: t, telegram: telegram, updates: 1 << 40}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the person was told %q", c.said())
		}
	})
	c.desk, err = billing.New(billing.Config{
		Redis: client, Blocking: blocking, Postgres: c.pool, Log: log,
		Leases:  stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: client, Log: log}),
		Peppers: []string{pepper}, WelcomeCredit: 500_000_000, ReferralNano: referralNano, ReferralMost: 10, StarNano: starNano,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.router = New(Options{
		Hall: hall.Options{
			Accounts: c.desk.Accounts, Keys: c.desk.Keys, Settings: c.desk.Settings, Texts: book(t), Redis: client, Log: log,
			Sender:   bot.NewSender(bot.SenderOptions{Client: api, Log: log, Registerer: prometheus.NewRegistry()}),
			Username: "KikuBot", BotID: 424242, Support: "@KikuHelp", Model: "a-model", BaseURL: "https://example.org/v1",
		},
		Till: till.Options{
			Payments: c.desk.Payments, Gifts: c.desk.Gifts, Ledger: c.desk.Ledger, Notices: c.desk.Notices, Jobs: c.desk.Jobs,
			Registerer: c.metrics,
		},
		Talk:   talk.Options{Completer: c, MaxOutput: 100},
		People: people.Options{Payments: c.desk.Payments, Gifts: c.desk.Gifts},
		App:    func(context.Context) string { return "https://bot.example.org/webapp/" },
	})
	inbox := bot.NewInbox(client)
	dispatcher := bot.NewDispatcher(bot.DispatcherOptions{
		Redis: client, Blocking: blocking, Handler: c.router, Log: log, Registerer: prometheus.NewRegistry(),
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "inbox", Redis: client, Log: log}), Drain: 5 * time.Second,
	})
	poller := bot.NewPoller(bot.PollerOptions{Token: token, ServerURL: telegram.URL(), HTTP: web, Inbox: inbox, Log: log})
	for _, run := range []func(context.Context) error{c.desk.Engine.Run, dispatcher.Run, poller.Run} {
		c.keep(run)
	}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// keep runs a part until the test's end.
func (c *counter) keep(run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	c.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			c.t.Error(err)
		}
	})
}

// start presses Start and waits for the welcome.
func (c *counter) start(who int64) billing.Account {
	c.t.Helper()
	if _, err := c.telegram.StartBot(who, ""); err != nil {
		c.t.Fatal(err)
	}
	var account billing.Account
	testenv.Until(c.t, "the account is open", func() (open bool) {
		var err error
		account, err = c.desk.Accounts.ByTelegram(c.ctx, who)
		return err == nil
	})
	c.hears(who, `^Hello`)
	return account
}

func (c *counter) tell(who int64, text string) {
	c.t.Helper()
	if _, err := c.telegram.Say(who, text); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits until the bot has said something like it and returns the newest such message.
func (c *counter) hears(who int64, pattern string) *telegramsim.Message {
	c.t.Helper()
	expression := regexp.MustCompile(pattern)
	var found *telegramsim.Message
	testenv.Until(c.t, "the bot says something like "+pattern, func() bool {
		for _, m := range c.telegram.Messages(who) {
			if m.FromBot() && expression.MatchString(m.Text+m.Caption) {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// heard counts what the bot has said like it.
func (c *counter) heardTimes(who int64, pattern string) (n int) {
	for _, m := range c.telegram.Messages(who) {
		if m.FromBot() && regexp.MustCompile(pattern).MatchString(m.Text+m.Caption) {
			n++
		}
	}
	return n
}

// invoice waits for the newest invoice of that many Stars.
func (c *counter) invoice(who, stars int64) *telegramsim.Message {
	c.t.Helper()
	var found *telegramsim.Message
	testenv.Until(c.t, "an invoice comes", func() bool {
		for _, m := range c.telegram.Messages(who) {
			if m.Invoice != nil && m.Invoice.TotalAmount == stars {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// press presses a button whose data begins so, under a message.
func (c *counter) press(who int64, m *telegramsim.Message, data string) {
	c.t.Helper()
	found := regexp.MustCompile(`"callback_data":"(` + regexp.QuoteMeta(data) + `[^"]*)"`).FindStringSubmatch(string(m.ReplyMarkup))
	if found == nil {
		c.t.Fatalf("no button %s under %q: %s", data, m.Text, m.ReplyMarkup)
	}
	if _, err := c.telegram.Press(who, who, m.MessageID, found[1]); err != nil {
		c.t.Fatal(err)
	}
}

// pay pays an invoice in the person's chat.
func (c *counter) pay(who int64, m *telegramsim.Message) telegramsim.Payment {
	c.t.Helper()
	paid, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: who, Message: m.MessageID})
	if err != nil {
		c.t.Fatal(err)
	}
	return paid
}

// refusedFor pays and expects the bot to refuse with such words.
func (c *counter) refusedFor(p telegramsim.Purchase, words string) {
	c.t.Helper()
	_, err := c.telegram.Pay(c.ctx, p)
	var refused *telegramsim.CheckoutRefusedError
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, words) {
		c.t.Errorf("paid, or refused otherwise than %q: %v", words, err)
	}
}

func (c *counter) balance(account, nano int64) {
	c.t.Helper()
	testenv.Until(c.t, "the balance is what it should be", func() bool {
		got, err := c.desk.Accounts.Balance(c.ctx, account)
		return err == nil && got.Available == nano
	})
}

// link takes the address of the newest button that leads out of the chat.
func link(m *telegramsim.Message) string {
	found := regexp.MustCompile(`"url":"([^"]+)"`).FindStringSubmatch(string(m.ReplyMarkup))
	if found == nil {
		return ""
	}
	return found[1]
}
