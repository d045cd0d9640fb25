package handlers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/testenv"
)

// keeping gives the rig an empty cache, as the program does.
func (r *rig) keeping() {
	r.t.Helper()
	r.cached = testenv.Redis(r.t)
	c, err := cache.New(cache.Options{Redis: r.cached, RedisPatience: 20 * time.Second, Log: testenv.Logger(r.t)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.options.Hall.Cache, r.options.Hall.Tiers = c, r.desk.Tiers
	r.reopen()
}

// from makes an update of a person who goes by such a name.
func (r *rig) from(name, language, text string) *bot.Update {
	r.t.Helper()
	r.updates++
	return r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,"text":%q,
		"from":{"id":%d,"is_bot":false,"first_name":%q,"language_code":%q},"chat":{"id":%d,"type":"private"}}}`,
		r.updates, r.updates, text, person, name, language, person))
}

func profileIn(t *testing.T, pool *pgxpool.Pool) (name, language string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `select name, language from accounts where telegram_id = $1`, person).Scan(&name, &language); err != nil {
		t.Fatal(err)
	}
	return name, language
}

// TestProfilesFollowTelegram: a changed name or language is taken over from any message,
// and what the account has of them is read once in five minutes.
func TestProfilesFollowTelegram(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t)
	r := newRigOn(t, pool)
	r.keeping()
	r.handle(r.from("Ada", "en", "/help")) // no account: none is made
	if _, err := r.desk.Accounts.ByTelegram(t.Context(), person); !errors.Is(err, billing.ErrAccountUnknown) {
		t.Errorf("a look at the help opened an account: %v", err)
	}
	r.handle(r.from("Ada", "en", "/start"))
	for _, told := range [][2]string{{"Grace", "en"}, {"Grace", "ja"}, {"G\tr\nace  ", "ja"}} {
		r.handle(r.from(told[0], told[1], "hello"))
		want := billing.Profile{Name: strings.TrimSpace(told[0]), Language: told[1]}.Clean()
		if name, language := profileIn(t, pool); name != want.Name || language != want.Language {
			t.Errorf("the account has %q, %q, want %+v", name, language, want)
		}
	}
	r.handle(r.from("Grace", "ja", "hello"))
	if _, err := pool.Exec(t.Context(), `update accounts set name = 'Somebody' where telegram_id = $1`, person); err != nil {
		t.Fatal(err)
	}
	r.handle(r.from("Grace", "ja", "/balance"))
	if name, _ := profileIn(t, pool); name != "Somebody" {
		t.Errorf("the profile was read again: %q", name)
	}
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.router.ForgetPerson(t.Context(), person, account.ID); err != nil {
		t.Fatal(err)
	}
	r.handle(r.from("Grace", "ja", "/balance"))
	if name, _ := profileIn(t, pool); name != "Grace" {
		t.Errorf("after the profile was forgotten the account has %q", name)
	}
}

// TestUsageOfThisMonthIsKept for a minute, and forgotten after a call in the chat; other
// spans are read as they are.
func TestUsageOfThisMonthIsKept(t *testing.T) {
	t.Parallel()
	pool := testenv.Postgres(t)
	r := newRigOn(t, pool)
	r.keeping()
	r.say("/start")
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	spend := func() {
		t.Helper()
		calls++
		id := fmt.Sprint("call-", calls)
		if _, err := r.desk.Holds.Reserve(t.Context(), billing.Reservation{HoldID: id, AccountID: account.ID, Want: 10_000_000, Least: 1, Life: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.desk.Holds.Settle(t.Context(), billing.Settlement{HoldID: id, AccountID: account.ID, Cost: 10_000_000, Model: "m", Deployment: "d", Source: billing.SourceAPI}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			nano, err := r.desk.Ledger.Balance(t.Context(), account.ID)
			if err == nil && nano == welcomeNano-int64(calls)*10_000_000 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the ledger is behind: %d, %v", nano, err)
			}
		}
	}
	month := "/usage " + time.Now().UTC().Format("2006-01")
	total := func(command string, want int) {
		t.Helper()
		r.say(command)
		r.heard(regexp.QuoteMeta(fmt.Sprintf("In all: %s, calls: %d", english(t).Dollars(int64(want)*10_000_000), want)))
	}
	spend()
	total(month, 1)
	spend()
	total(month, 1) // kept
	total("/usage", 2)
	r.say("a question") // a call in the chat
	total(month, 2)
	spend()
	total(month, 2)
	r.router.SpentMore(t.Context(), account.ID)
	total(month, 3)
}

// TestNothingIsKeptOfWhoLeft: not the profile, the usage or the answers.
func TestNothingIsKeptOfWhoLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keeping()
	var forgotten []int64
	r.router.Answers = func(_ context.Context, account int64) error {
		forgotten = append(forgotten, account)
		return nil
	}
	r.say("/start")
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	r.say("/usage " + time.Now().UTC().Format("2006-01"))
	elsewhere := func() (profile, usage bool) {
		t.Helper()
		c, err := cache.New(cache.Options{Redis: r.cached, RedisPatience: 20 * time.Second, Log: testenv.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		id := strconv.FormatInt(account.ID, 10)
		_, profile = cache.NewSpace[billing.Profile](c, cache.SpaceOptions{Name: "profiles", TTL: time.Minute}).Lookup(t.Context(), strconv.Itoa(person))
		_, usage = cache.NewSpace[[]billing.Consumed](c, cache.SpaceOptions{
			Name: "usage", TTL: time.Minute, Tags: func(string) []string { return []string{id} },
		}).Lookup(t.Context(), id+":"+time.Now().UTC().Format("2006-01")+":UTC")
		return profile, usage
	}
	if profile, usage := elsewhere(); !profile || !usage {
		t.Fatalf("kept: profile %v, usage %v", profile, usage)
	}
	r.handle(r.decode(9100, fmt.Sprintf(`{"update_id":9100,"callback_query":{"id":"9100","chat_instance":"1","data":"delete:%d",
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"}}}`, account.ID, person)))
	if profile, usage := elsewhere(); profile || usage || len(forgotten) != 1 || forgotten[0] != account.ID {
		t.Errorf("kept: profile %v, usage %v; answers forgotten of %v", profile, usage, forgotten)
	}
}

// TestTiersAreToldInWords, and warmed before anybody asks.
func TestTiersAreToldInWords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keeping()
	r.say("/help")
	if text := r.heard("what is left"); strings.Contains(text, "Tiers") {
		t.Errorf("tiers where there are none: %s", text)
	}
	rpm, tpm, concurrency, refill, burst := int64(600), int64(100_000), int64(5), int64(2500), int64(20)
	for name, change := range map[string]billing.LimitChange{
		"pro":   {RequestsPerMinute: &rpm, TokensPerMinute: &tpm, Concurrency: &concurrency},
		"bulk":  {RefillMilli: &refill, Burst: &burst},
		"staff": {},
	} {
		if _, err := r.desk.Tiers.Set(t.Context(), name, change, billing.OfAccount(1)); err != nil {
			t.Log(name, err)
		}
	}
	r.keeping() // what was found before there were some is forgotten
	if err := r.router.WarmTiers(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Until(r.t, "they are warm", func() bool { return r.cached.Exists(t.Context(), "cache:tiers:{all}").Val() == 1 })

	r.say("/help")
	r.heard(`Tiers of accounts[\s\S]*• bulk: bursts of 20, then 2\.5 a second\n• pro: 600 requests a minute, 100,000 tokens a minute, 5 answers at a time`)
}

// TestTheCacheFailsNobody: with its Redis away people are answered all the same.
func TestTheCacheFailsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := testenv.RedisServer(t)
	c, err := cache.New(cache.Options{Redis: server.ClientWith(redis.Options{MaxRetries: -1, DialerRetries: 1}), Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r.options.Hall.Cache, r.options.Hall.Tiers = c, r.desk.Tiers
	r.reopen()
	r.say("/start")
	server.Stop()
	r.answer = func(call llm.ChatCall) (llm.ChatAnswer, error) { return llm.ChatAnswer{Text: "still here"}, nil }
	r.say("are you there?")
	r.heard("still here")
	r.say("/usage " + time.Now().UTC().Format("2006-01"))
	r.heard("Nothing was spent|Spending on")
	r.say("/help")
	r.heard("what is left")
}
