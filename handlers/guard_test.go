package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// watch is a clock that tests set.
type watch struct {
	mu  sync.Mutex
	now time.Time
}

func (w *watch) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watch) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// guarded limits the rig's commands and top-ups, on a clock of the test's.
func (r *rig) guarded(commands, topUps int64) *watch {
	r.t.Helper()
	clock := &watch{now: time.Now()}
	source := ratelimit.NewRedisAt(testenv.Redis(r.t), clock.time)
	r.router.Now = clock.time
	r.router.Commands = ratelimit.NewGuard(source, "user", commands, time.Minute)
	r.router.TopUps = ratelimit.NewGuard(source, "topups", topUps, time.Hour)
	return clock
}

// denies is a guard that lets nobody through.
type denies struct{ wait time.Duration }

func (d denies) Take(context.Context, int64) error {
	return &ratelimit.ExceededError{RetryAfter: d.wait}
}

// button makes an update of a pressed button.
func (r *rig) button(data string) *bot.Update {
	r.t.Helper()
	r.updates++
	return r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"%d","chat_instance":"1","data":%q,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},
		"message":{"message_id":1,"date":1790000000,"chat":{"id":%d,"type":"private","first_name":"Ada"}}}}`,
		r.updates, r.updates, data, person, person))
}

// calls are the bot's calls of a method.
func (r *rig) called(method string) (calls []telegramsim.Call) {
	for _, c := range r.telegram.Calls() {
		if strings.EqualFold(c.Method, method) {
			calls = append(calls, c)
		}
	}
	return calls
}

func count(texts []string, part string) (n int) {
	for _, text := range texts {
		if strings.Contains(text, part) {
			n++
		}
	}
	return n
}

// TestTooManyCommandsAreToldOnce: what is over the limit gets one sentence with the time
// to wait, then silence, and after that time the commands pass again.
func TestTooManyCommandsAreToldOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	clock := r.guarded(3, 100)
	for range 3 {
		r.say("/help")
		clock.pass(5 * time.Second)
	}
	for range 10 {
		r.say("/help")
		clock.pass(time.Second)
	}
	said := r.said()
	if len(said) != 4 || !strings.Contains(said[3], "in 45 seconds.") {
		t.Fatalf("said %q", said)
	}
	clock.pass(35 * time.Second) // the first one is a minute ago
	r.say("/help")
	r.heard("what is left")
	r.say("/help") // the next passes in 5 seconds: less than is told
	r.heard("in 10 seconds")
	for range 8 {
		clock.pass(time.Second)
		r.say("/help")
	}
	if said := r.said(); count(said, "quicker than I am") != 2 || count(said, "what is left") != 5 {
		t.Errorf("said %q", said)
	}
}

// TestMessagesToTheModelAreNotCountedTwice: they have a limit on the metered path.
func TestMessagesToTheModelAreNotCountedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.guarded(2, 100)
	for i := range 5 {
		r.say(fmt.Sprint("message ", i))
	}
	r.say("/help")
	r.say("/help")
	if len(r.calls) != 5 || count(r.said(), "what is left") != 2 {
		t.Errorf("%d calls of the model; said %q", len(r.calls), r.said())
	}
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{}, &ratelimit.ExceededError{RetryAfter: 90 * time.Second}
	}
	for range 5 {
		r.say("too fast")
	}
	if said := r.said(); count(said, "write again in 1 minute and 30 seconds") != 1 || len(said) != 8 {
		t.Errorf("said %q", said)
	}
}

// TestButtonsAreAnsweredWhateverTheLimit: a query without an answer shows as still working.
func TestButtonsAreAnsweredWhateverTheLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.guarded(2, 100)
	r.say("/start")
	for range 6 {
		r.handle(r.button("topup"))
	}
	answers := r.called("answerCallbackQuery")
	told := 0
	for _, a := range answers {
		if strings.Contains(fmt.Sprint(a.Params), "quicker than I am") {
			told++
		}
	}
	if len(answers) != 6 || told != 5 || count(r.said(), "quicker") != 0 {
		t.Errorf("%d answers, %d of them with the time to wait; said %q", len(answers), told, r.said())
	}
}

// TestWhatIsNeverLimited: a Stop, the questions and facts of a payment, and what Telegram
// tells of a subscription.
func TestWhatIsNeverLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	r.say("/topup 100")
	r.router.Commands, r.router.TopUps = denies{time.Hour}, denies{time.Hour}
	r.say("/stop")
	r.heard("nothing to stop")

	offer, err := r.desk.Payments.Offer(account.ID, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		id := 20_000 + 3*i
		r.handle(r.decode(id, fmt.Sprintf(`{"update_id":%d,"pre_checkout_query":{"id":"%d","from":{"id":%d,"is_bot":false,"first_name":"Ada"},
			"currency":"XTR","total_amount":100,"invoice_payload":%q}}`, id, id, person, offer.Payload)))
		r.handle(r.decode(id+1, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,
			"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private"},
			"successful_payment":{"currency":"XTR","total_amount":100,"invoice_payload":%q,"telegram_payment_charge_id":"charge-%d","provider_payment_charge_id":""}}}`,
			id+1, id+1, person, person, offer.Payload, i)))
	}
	after, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil || after.Available != account.Available+3*100*starNano {
		t.Errorf("after three payments: %+v, %v", after, err)
	}
	if n := len(r.called("answerPreCheckoutQuery")); n != 3 {
		t.Errorf("%d pre-checkout queries answered", n)
	}
	r.handle(r.decode(20_100, fmt.Sprintf(`{"update_id":20100,"message":{"message_id":20100,"date":1790000000,"chat":{"id":%d,"type":"private"},
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},
		"refunded_payment":{"currency":"XTR","total_amount":100,"invoice_payload":%q,"telegram_payment_charge_id":"charge-0"}}}`, person, person, offer.Payload)))
	if payment, err := r.desk.Payments.Find(t.Context(), "charge-0"); err != nil || payment.RefundedAt.IsZero() {
		t.Errorf("the refund: %+v, %v", payment, err)
	}
}

// TestTopUpsOfAnHour: over the limit no more invoices are made, said once; those that were
// made can be paid.
func TestTopUpsOfAnHour(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	clock := c.guarded(100, 2)
	account := c.start(person)
	c.tell(person, "/topup 11")
	c.tell(person, "/topup 12")
	first := c.invoice(person, 11)
	c.invoice(person, 12)
	for range 4 {
		c.tell(person, "/topup 13")
	}
	c.tell(person, "/topup")
	menu := c.hears(person, `^Your balance is`) // looking at the amounts is no top-up
	c.hears(person, `many invoices within an hour.*in (1 hour|59 minutes)`)
	c.press(person, menu, "topup:100")
	c.press(person, menu, "topup:monthly")
	c.hears(person, `How much each month`)
	if n := c.heardTimes(person, `many invoices`); n != 1 {
		t.Errorf("told %d times", n)
	}
	for _, m := range c.telegram.Messages(person) {
		if m.Invoice != nil && m.Invoice.TotalAmount != 11 && m.Invoice.TotalAmount != 12 {
			t.Errorf("an invoice of %d Stars over the limit", m.Invoice.TotalAmount)
		}
	}
	c.pay(person, first)
	c.balance(account.ID, welcomeNano+11*starNano)
	clock.pass(time.Hour + time.Minute)
	c.tell(person, "/topup 14")
	c.invoice(person, 14)
}

// TestATriedUpdateCountsOnce: an update that failed is tried again, and every try is the
// same command.
func TestATriedUpdateCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.guarded(2, 100)
	odd := errors.New("odd")
	failing := true
	help := r.router.commands["help"]
	r.router.commands["help"] = func(ctx context.Context, q hall.Request) error {
		if failing {
			return odd
		}
		return help(ctx, q)
	}
	u := r.message(7000, "/help")
	for range 5 {
		if err := r.router.Handle(t.Context(), u); !errors.Is(err, odd) {
			t.Fatal(err)
		}
	}
	failing = false
	r.handle(u)
	r.say("/help")
	r.say("/help")
	if said := r.said(); count(said, "what is left") != 2 || count(said, "quicker") != 1 {
		t.Errorf("said %q", said)
	}
}

// TestAGuardThatCannotSay leaves the update for later: nothing is lost while Redis is away.
func TestAGuardThatCannotSay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.router.Commands = silent{}
	for _, u := range []*bot.Update{r.message(7100, "/help"), r.button("usage:")} {
		if err := r.router.Handle(t.Context(), u); !errors.Is(err, bot.ErrTryLater) {
			t.Errorf("handled: %v", err)
		}
	}
	if said := r.said(); len(said) != 0 {
		t.Errorf("said %q", said)
	}
}

type silent struct{}

func (silent) Take(context.Context, int64) error { return billing.ErrClosed }
