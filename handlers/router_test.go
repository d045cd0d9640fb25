package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/till"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	token  = "424242:a-simulated-token"
	person = 77
)

// rig is the handlers on a real Redis, a real Postgres and a simulated Telegram; the
// model is a function.
type rig struct {
	t        *testing.T
	router   *Router
	options  Options
	cached   *redis.Client // the cache's Redis, where there is one
	desk     *billing.Desk
	telegram *telegramsim.Server
	updates  int64
	answer   func(llm.ChatCall) (llm.ChatAnswer, error)
	streams  func(context.Context, llm.ChatCall, func(string) error) (llm.ChatAnswer, error) // in answer's place

	mu    sync.Mutex
	calls []llm.ChatCall
}

// Complete is the metered path of the tests.
func (r *rig) Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	r.mu.Lock()
	r.calls = append(r.calls, call)
	r.mu.Unlock()
	if r.streams != nil {
		return r.streams(ctx, call, onText)
	}
	answer, err := r.answer(call)
	if answer.Text != "" {
		_ = onText(answer.Text) // what nobody sees is no error here
	}
	return answer, err
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, testenv.Postgres(t))
}

func newRigOn(t *testing.T, pool *pgxpool.Pool) *rig {
	t.Helper()
	client := testenv.Redis(t)
	r := &rig{t: t, updates: 1000, answer: func(c llm.ChatCall) (llm.ChatAnswer, error) {
		last := c.Messages[len(c.Messages)-1].Content
		return llm.ChatAnswer{Text: "You said " + last, CostNano: 45_000, AvailableNano: 499_955_000}, nil
	}}
	var err error
	r.desk, err = billing.New(billing.Config{
		Redis: client, Blocking: client, Postgres: pool, Log: testenv.Logger(t),
		Leases:  stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: client, Log: testenv.Logger(t)}),
		Peppers: []string{"a pepper of the tests, long enough"}, WelcomeCredit: 500_000_000, StarNano: 13_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.desk.Engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if r.telegram, err = telegramsim.Start(telegramsim.Options{Token: token, Username: "KikuBot", Log: testenv.Logger(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.telegram.Close() })
	r.telegram.User(person, "Ada")
	if _, err := r.telegram.StartBot(person, ""); err != nil { // a bot may not write first
		t.Fatal(err)
	}
	web := bot.NewHTTPClient()
	t.Cleanup(web.CloseIdleConnections)
	api, err := bot.NewClient(token, r.telegram.URL(), web)
	if err != nil {
		t.Fatal(err)
	}
	r.options = Options{
		Hall: hall.Options{
			Accounts: r.desk.Accounts, Keys: r.desk.Keys, Settings: r.desk.Settings, Texts: book(t), Redis: client, Log: testenv.Logger(t),
			Sender:   bot.NewSender(bot.SenderOptions{Client: api, Log: testenv.Logger(t), Registerer: prometheus.NewRegistry()}),
			Username: "KikuBot", BotID: 424242, Model: "a-model", BaseURL: "https://example.org/v1",
		},
		Till: till.Options{
			Payments: r.desk.Payments, Gifts: r.desk.Gifts, Ledger: r.desk.Ledger, Notices: r.desk.Notices, Jobs: r.desk.Jobs,
			Registerer: prometheus.NewRegistry(),
		},
		Talk:   talk.Options{Completer: r, MaxOutput: 100, Later: bot.NewInbox(client), Subscriber: client},
		People: people.Options{Payments: r.desk.Payments, Gifts: r.desk.Gifts},
	}
	r.router = New(r.options)
	return r
}

// reopen begins anew with the options: nothing is in memory.
func (r *rig) reopen() {
	r.options.Till.Registerer = prometheus.NewRegistry()
	r.router = New(r.options)
}

// message makes an update with a private message; another call with the same id is
// its redelivery.
func (r *rig) message(id int64, text string) *bot.Update {
	r.t.Helper()
	raw := fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,"text":%q,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private","first_name":"Ada"}}}`,
		id, id, text, person, person)
	return r.decode(id, raw)
}

func (r *rig) decode(id int64, raw string) *bot.Update {
	r.t.Helper()
	u := &bot.Update{ID: id, Raw: []byte(raw)}
	if err := json.Unmarshal(u.Raw, &u.Update); err != nil {
		r.t.Fatal(err)
	}
	return u
}

// handle gives an update to the handlers, as long as money is not open yet again and again.
func (r *rig) handle(u *bot.Update) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := r.router.Handle(r.t.Context(), u)
		if err == nil {
			return
		}
		if !errors.Is(err, bot.ErrTryLater) || time.Now().After(deadline) {
			r.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rig) say(text string) {
	r.t.Helper()
	r.updates++
	r.handle(r.message(r.updates, text))
}

// said are the texts of the bot's messages, oldest first.
func (r *rig) said() []string {
	var texts []string
	for _, m := range r.telegram.Messages(person) {
		if m.FromBot() {
			texts = append(texts, m.Text+m.Caption)
		}
	}
	return texts
}

func (r *rig) heard(pattern string) string {
	r.t.Helper()
	texts := r.said()
	if len(texts) == 0 || !regexp.MustCompile(pattern).MatchString(texts[len(texts)-1]) {
		r.t.Fatalf("the last message is not like %q: %q", pattern, texts)
	}
	return texts[len(texts)-1]
}

func TestCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	r.heard(`^Hello, Ada!.*[\s\S]*\$0\.50`)
	r.say("/start ref_1")
	r.heard(`\$0\.50`) // welcomed once
	r.say("/balance@KikuBot")
	r.heard(`^Balance: \$0\.50$`)
	r.say("/help")
	r.heard(`a-model`)
	r.say("/keys")
	r.heard(`no API keys`)
	r.say("/unheard of")
	r.heard(`I do not know /unheard`)
	before := len(r.said())
	r.say("/balance@OtherBot")
	if after := len(r.said()); after != before {
		t.Errorf("a command for another bot was answered: %q", r.said())
	}
}

func TestChatKeepsTheThread(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("one")
	r.heard(`^You said one\n\n\$0\.000045 · balance \$0\.499955$`)
	r.say("two")
	r.say("/new")
	r.say("three")
	second, third := r.calls[1], r.calls[2]
	if len(second.Messages) != 3 || second.Messages[0].Content != "one" || second.Messages[1].Content != "You said one" || second.Messages[2].Content != "two" {
		t.Errorf("the second call's context: %+v", second.Messages)
	}
	if len(third.Messages) != 1 {
		t.Errorf("after /new the context is %+v", third.Messages)
	}
	if second.Model != "a-model" || second.MaxOutput != 100 || second.LimitScope == "" || second.HoldID == third.HoldID {
		t.Errorf("calls: %+v, %+v", second, third)
	}
}

// TestRedeliveredChatIsNotPaidAgain: the process died after the answer was remembered.
func TestRedeliveredChatIsNotPaidAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.message(5000, "hello")
	r.handle(u)
	r.handle(u)
	if len(r.calls) != 1 {
		t.Errorf("the model was called %d times", len(r.calls))
	}
	texts := r.said()
	if len(texts) != 2 || texts[0] != texts[1] {
		t.Errorf("said %q", texts)
	}
	r.say("and now")
	if n := len(r.calls[1].Messages); n != 3 {
		t.Errorf("the redelivery is in the context: %d messages", n)
	}
}

// TestRedeliveredNewKeyLeavesOneKey: nobody may have seen the first one.
func TestRedeliveredNewKeyLeavesOneKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.message(6000, "/newkey laptop")
	r.handle(u)
	r.handle(u)
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.desk.Keys.List(t.Context(), account.ID)
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, key := range keys {
		if key.RevokedAt.IsZero() {
			live++
		}
	}
	if len(keys) != 2 || live != 1 {
		t.Errorf("%d keys, %d of them live", len(keys), live)
	}
}

func TestKeysAreShownMarkedAndRevoked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/newkey  my   laptop 🙂 ")
	text := r.heard(`“my laptop 🙂”`)
	secret := regexp.MustCompile(`kk_\S+`).FindString(text)
	messages := r.telegram.Messages(person)
	entity := messages[len(messages)-1].Entities
	marked := false
	for _, e := range entity {
		marked = marked || e.Type == "code" && e.Length == len(secret)
	}
	if !marked {
		t.Errorf("the key is not marked as code: %+v", entity)
	}
	r.say("/keys")
	list := r.heard(`my laptop`)
	if strings.Contains(list, secret) {
		t.Error("the list shows the key")
	}
	messages = r.telegram.Messages(person)
	shown := messages[len(messages)-1]
	data := regexp.MustCompile(`revoke:\d+`).FindString(string(shown.ReplyMarkup))
	press := func(id int64, data string) {
		r.handle(r.decode(id, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"%d","chat_instance":"1","data":%q,
			"from":{"id":%d,"is_bot":false,"first_name":"Ada"},
			"message":{"message_id":%d,"date":1790000000,"chat":{"id":%d,"type":"private","first_name":"Ada"}}}}`,
			id, id, data, person, shown.MessageID, person)))
	}
	press(7001, data)
	press(7002, data) // pressed twice
	press(7003, "revoke:999999")
	press(7004, "revoke:nonsense")
	press(7005, "something old")
	r.say("/keys")
	r.heard(`no API keys`)
}

func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for pattern, err := range map[string]error{
		`could cost up to \$0\.02, and of your budget of \$5\.00 a day \$0\.01 is left\. It is whole again on 2 Mar 20\d\d 00:00 UTC`: &billing.BudgetError{
			Scope: billing.BudgetAccount, Period: billing.BudgetDay, Limit: 5_000_000_000, Spent: 4_990_000_000, Need: 20_000_000,
			Resets: time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC)},
		`could cost up to \$0\.02 and your balance is \$0\.001`: &billing.PoorError{Need: 20_000_000, Available: 1_000_000},
		`write again in 33 seconds`:                             &ratelimit.ExceededError{Max: 1, Window: time.Minute, RetryAfter: 32500 * time.Millisecond},
		`too long for the model`:                                &ratelimit.ExceededError{Name: ratelimit.NameTokens, Max: 10, Cost: 11, Never: true},
		`model did not`:                                         &llm.UpstreamError{Fault: llm.FaultTimeout},
		`account is closed`:                                     billing.ErrAccountInactive,
		`too long`:                                              &llm.RequestError{Param: "messages", Message: "too long"},
		`is not available`:                                      llm.ErrModelUnknown,
	} {
		r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) { return llm.ChatAnswer{}, fmt.Errorf("wrapped: %w", err) }
		r.say("hello")
		r.heard(pattern)
	}
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{Text: "half of", CostNano: 7, AvailableNano: 9}, &llm.UpstreamError{Fault: llm.FaultUnreachable}
	}
	r.say("hello")
	r.heard(`^half of\n\n\[cut short.*\]\n\n\$0\.000000007`)
}

func TestOutagesAreWorthWaitingFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) { return llm.ChatAnswer{}, billing.ErrClosed }
	if err := r.router.Handle(t.Context(), r.message(8000, "hello")); !errors.Is(err, bot.ErrTryLater) {
		t.Errorf("money closed: %v", err)
	}
	odd := errors.New("odd")
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) { return llm.ChatAnswer{}, odd }
	if err := r.router.Handle(t.Context(), r.message(8001, "hello")); !errors.Is(err, odd) || errors.Is(err, bot.ErrTryLater) {
		t.Errorf("an odd error: %v", err)
	}
	if err := r.telegram.Block(person, true); err != nil {
		t.Fatal(err)
	}
	if err := r.router.Handle(t.Context(), r.message(8002, "/help")); err != nil {
		t.Errorf("a chat that blocked the bot: %v", err)
	}
}

func TestGroupsAndOtherKinds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	group, err := r.telegram.Group("Friends", person)
	if err != nil {
		t.Fatal(err)
	}
	in := func(id int64, text string) *bot.Update {
		return r.decode(id, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,"text":%q,
			"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"supergroup","title":"Friends"}}}`,
			id, id, text, person, group.ID))
	}
	r.handle(in(9000, "/balance@KikuBot"))
	r.handle(in(9001, "just talking"))
	var texts []string
	for _, m := range r.telegram.Messages(group.ID) {
		if m.FromBot() {
			texts = append(texts, m.Text)
		}
	}
	if len(texts) != 1 || !strings.Contains(texts[0], "in private") {
		t.Errorf("in the group: %q", texts)
	}
	r.handle(r.decode(9002, fmt.Sprintf(`{"update_id":9002,"message":{"message_id":9002,"date":1790000000,
		"sticker":{"file_id":"x","file_unique_id":"x","type":"regular","width":1,"height":1,"is_animated":false,"is_video":false},
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private"}}}`, person, person)))
	r.heard(`read text`)
	if len(r.calls) != 0 {
		t.Errorf("the model was called: %+v", r.calls)
	}
}

// TestKeysShowTheirBounds: what a key may not do is said beside it, and a list that is
// too long for one message ends early.
func TestKeysShowTheirBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/balance") // which waits for the account to be in Redis: a budget is counted there
	r.say("/newkey plain")
	r.heard(`plain`)
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour)
	bounded := billing.KeySpec{AccountID: account.ID, Name: "bounded", BudgetMonth: 20_000_000_000,
		Limits: billing.Limits{RequestsPerMinute: 60}, Restrictions: billing.Restrictions{
			Models:   []string{"gpt-4o*", "a", "b", "c"},
			Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("2001:db8::/32")}, ExpiresAt: end}}
	if _, _, err := r.desk.Keys.Create(t.Context(), bounded); err != nil {
		t.Fatal(err)
	}
	r.say("/keys")
	list := r.heard(`bounded`)
	want := "\n   until " + end.UTC().Format("2 Jan 2006 15:04 UTC") + " · for a, b, c and 1 more · from 2001:db8::/32, 203.0.113.7 · $20.00 a month · 60 requests a minute"
	if !strings.Contains(list, want) {
		t.Errorf("%q lacks %q", list, want)
	}
	if strings.Count(list, "\n   ") != 1 {
		t.Errorf("a key without bounds has some: %q", list)
	}
	bounded.Name = strings.Repeat("n", 64)
	for range 30 {
		if _, _, err := r.desk.Keys.Create(t.Context(), bounded); err != nil {
			t.Fatal(err)
		}
	}
	r.say("/keys")
	if list := r.heard(`and \d+ more\.$`); hall.UTF16Len(list) > 4096 {
		t.Errorf("a list of %d units", hall.UTF16Len(list))
	}
}
