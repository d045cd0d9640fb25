package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// limited makes an account with money, and a key of it with limits of its own.
func (r *rig) limited(limits billing.Limits) (id int64, token string, key billing.PresentedKey) {
	r.t.Helper()
	id, _ = r.account(10 * dollar)
	_, token, err := r.desk.Keys.Create(r.t.Context(), billing.KeySpec{AccountID: id, Limits: limits})
	r.must(err)
	key, err = r.desk.Keys.Parse(token)
	r.must(err)
	return id, token, key
}

// setLimits changes a key's limits as the projection does.
func (r *rig) setLimits(key billing.PresentedKey, limits billing.Limits) {
	r.t.Helper()
	r.must(r.client.HSet(r.t.Context(), billing.KeyKey(key.Account, key.Locator[0]), "limits", limits.Packed()).Err())
}

// tiered gives an account the limits of a tier.
func (r *rig) tiered(account int64, limits billing.Limits) {
	r.t.Helper()
	name := fmt.Sprintf("tier-%d", account)
	_, err := r.desk.Tiers.Set(r.t.Context(), name, changeTo(limits), billing.House)
	r.must(err)
	r.must(r.desk.Tiers.Assign(r.t.Context(), account, name, billing.House))
}

func changeTo(l billing.Limits) billing.LimitChange {
	return billing.LimitChange{
		RequestsPerMinute: &l.RequestsPerMinute, TokensPerMinute: &l.TokensPerMinute, Concurrency: &l.Concurrency,
		RefillMilli: &l.RefillMilli, Burst: &l.Burst,
	}
}

// organised puts accounts into an organisation.
func (r *rig) organised(limits billing.Limits, day int64, accounts ...int64) (id int64) {
	r.t.Helper()
	change := billing.OrganisationChange{Limits: changeTo(limits)}
	if day > 0 {
		change.BudgetDay = &day
	}
	r.accounts++
	made, err := r.desk.Organisations.Create(r.t.Context(), fmt.Sprintf("Organisation %d", r.accounts), change, billing.House)
	r.must(err)
	for _, account := range accounts {
		r.must(r.desk.Organisations.Add(r.t.Context(), made.ID, account, billing.House))
	}
	return made.ID
}

// used is how much is counted under a key of limits: units of a window, or places.
func (r *rig) used(key string) int64 {
	r.t.Helper()
	ctx := r.t.Context()
	switch kind := r.client.Type(ctx, key).Val(); kind {
	case "list":
		return r.client.LLen(ctx, key).Val()
	case "hash":
		n, err := r.client.HGet(ctx, key, "s").Int64()
		r.must(err)
		return n
	case "zset":
		return r.client.ZCount(ctx, key, "("+strconv.FormatInt(time.Now().UnixMicro(), 10), "+inf").Val()
	case "none":
		return 0
	default:
		r.t.Fatalf("%s is a %s", key, kind)
		return 0
	}
}

func baseOf(key billing.PresentedKey) string {
	return stream.ShardOf(key.Account).Key("lim", "key", key.Locator[0])
}

func accountBase(account int64) string {
	return stream.ShardOf(account).Key("lim", "account", strconv.FormatInt(account, 10))
}

func organisationBase(id int64) string {
	return stream.ShardOf(id).Key("lim", "organisation", strconv.FormatInt(id, 10))
}

// billed is how many tokens the account's calls were billed for.
func (r *rig) billed(account, calls int64) (tokens int64) {
	r.t.Helper()
	r.ledger(account, calls)
	r.must(r.pool.QueryRow(r.t.Context(), `select coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint from usage where account_id = $1`, account).Scan(&tokens))
	return tokens
}

// TestTokensAreTruedUp: a call takes what it may come to of every token limit, and once it
// has ended what it came to is what counts; its places are free before its answer is out.
func TestTokensAreTruedUp(t *testing.T) {
	r := newRig(t)
	limits := billing.Limits{RequestsPerMinute: 50, TokensPerMinute: 20_000, Concurrency: 1}
	id, token, key := r.limited(limits)
	r.tiered(id, limits)
	organisation := r.organised(limits, dollar, id)
	for calls := int64(1); calls <= 3; calls++ {
		r.chat(token, "paid", `"max_tokens":100`).want(t, 200)
		r.chat(token, "paid", `"stream":true`).want(t, 200)
		tokens := r.billed(id, 2*calls)
		for _, base := range []string{baseOf(key), accountBase(id), organisationBase(organisation)} {
			if got := r.used(base + ":t"); got != tokens {
				t.Errorf("%s counts %d tokens, %d were billed", base, got, tokens)
			}
			if got := r.used(base); got != 2*calls {
				t.Errorf("%s counts %d requests of %d", base, got, 2*calls)
			}
			if got := r.used(base + ":c"); got != 0 {
				t.Errorf("%s has %d places taken", base, got)
			}
		}
	}
	spent := r.ledger(id, 6)
	if fields := strings.Split(r.client.HGet(t.Context(), billing.OrganisationKey(organisation), "spent").Val(), "|"); len(fields) != 4 || fields[1] != strconv.FormatInt(spent, 10) {
		t.Errorf("the organisation has spent %v, its account %d", fields, spent)
	}
}

// TestOpenAnswersFit: an answer whose length was left open is kept to what a token limit
// leaves, as long as that is worth having; else the call waits, and one that can never
// pass says so.
func TestOpenAnswersFit(t *testing.T) {
	r := newRig(t)
	_, token, key := r.limited(billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 3000})
	prompt := r.promptBound(chatBody("paid"))
	sent := func() int64 {
		t.Helper()
		requests := r.sim.Requests()
		return (answer{body: string(requests[len(requests)-1].Body)}).get("max_tokens").Int()
	}
	r.chat(token, "paid").want(t, 200) // the model would answer with 4,000
	if got := sent(); got != 3000-prompt {
		t.Errorf("asked for %d tokens, the limit leaves %d", got, 3000-prompt)
	}
	r.must(r.client.Del(t.Context(), baseOf(key)+":t").Err())
	r.fill(key, 3000-prompt-1024)
	r.chat(token, "paid").want(t, 200)
	if got := sent(); got != 1024 {
		t.Errorf("asked for %d tokens, the limit leaves 1,024", got)
	}
	r.must(r.client.Del(t.Context(), baseOf(key)+":t").Err())
	r.fill(key, 3000-prompt-1023)
	a := r.chat(token, "paid")
	a.wantError(t, 429, "rate_limit_exceeded")
	if a.get("error.type").Str != "tokens" || a.header.Get("Retry-After") == "" || a.header.Get("X-Should-Retry") != "" {
		t.Errorf("%s %v", a.body, a.header)
	}
	r.must(r.client.Del(t.Context(), baseOf(key)+":t").Err())
	r.setLimits(key, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: prompt + 16})
	testenv.Until(r.t, "the smallest limit that lets anything pass does", func() bool { return r.chat(token, "paid").status == 200 })
	if got := sent(); got != 16 {
		t.Errorf("asked for %d tokens of 16", got)
	}
	for _, c := range []struct {
		limit int64
		body  string
	}{{prompt + 15, chatBody("paid")}, {prompt + 99, chatBody("paid", `"max_tokens":100`)}} {
		_, token, key := r.limited(billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: c.limit})
		a := r.do("POST", "/v1/chat/completions", token, c.body)
		a.wantError(t, 429, "rate_limit_exceeded")
		if a.header.Get("Retry-After") != "" || a.header.Get("X-Should-Retry") != "false" || !strings.Contains(a.get("error.message").Str, "never") {
			t.Errorf("%s %v", a.body, a.header)
		}
		if r.used(baseOf(key)) != 0 {
			t.Error("counted all the same")
		}
	}
}

// fill takes so many tokens of a key's.
func (r *rig) fill(key billing.PresentedKey, tokens int64) {
	r.t.Helper()
	d, _, err := ratelimit.NewRedis(r.client).Take(r.t.Context(), "filler", time.Minute, []ratelimit.Limit{{
		Kind: ratelimit.Window, Name: "tokens", Scope: "key", Key: baseOf(key) + ":t", Max: 3000, Span: time.Minute, Cost: tokens}})
	r.must(err)
	if !d.Allowed {
		r.t.Fatalf("%d tokens do not fit", tokens)
	}
}

// TestLimitsAreNamed: every answer of a key's carries its limits, and a refusal says which
// of them it was, and whose.
func TestLimitsAreNamed(t *testing.T) {
	r := newRig(t)
	one := billing.Limits{RequestsPerMinute: 1}
	for _, c := range []struct {
		name, kind, says string
		key, tier, org   billing.Limits
	}{
		{name: "requests of a key", kind: "requests", says: "This API key's limit is 1 requests per minute", key: one},
		{name: "requests of an account", kind: "requests", says: "This account's limit is 1 requests per minute", tier: one},
		{name: "requests of an organisation", kind: "requests", says: "The organisation's limit is 1 requests per minute", org: one},
		{name: "burst", kind: "requests", says: "too fast: this API key's limit is 1 at once, and then one each 1m40s", key: billing.Limits{RequestsPerMinute: 100, RefillMilli: 10, Burst: 1}},
		{name: "tokens", kind: "tokens", says: "this account's limit is 5000 tokens per minute", tier: billing.Limits{TokensPerMinute: 5000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, token, _ := r.limited(c.key)
			if c.tier != (billing.Limits{}) {
				r.tiered(id, c.tier)
			}
			if c.org != (billing.Limits{}) {
				r.organised(c.org, 0, id)
			}
			body := chatBody("paid", `"max_tokens":4000`)
			first := r.do("POST", "/v1/chat/completions", token, body).want(t, 200)
			a := first
			for range 100 { // until what a call came to fills the limit of tokens
				if a = r.do("POST", "/v1/chat/completions", token, body); a.status != 200 {
					break
				}
			}
			a.wantError(t, 429, "rate_limit_exceeded")
			if a.get("error.type").Str != c.kind || !strings.Contains(a.get("error.message").Str, c.says) {
				t.Errorf("%s", a.body)
			}
			again := r.do("POST", "/v1/chat/completions", token, body) // from memory
			for _, one := range []answer{first, a, again} {
				if one.header.Get("RateLimit-Policy") == "" || one.header.Get("RateLimit") == "" {
					t.Errorf("%d has no limits in %v", one.status, one.header)
				}
			}
			after, err := strconv.Atoi(again.header.Get("Retry-After"))
			if again.status != 429 || err != nil || after < 1 || after > 100 {
				t.Errorf("%d, Retry-After %q", again.status, again.header.Get("Retry-After"))
			}
		})
	}
}

// TestLimitHeadersEverywhere: errors carry the limits, too, and what was refused for
// another reason was not counted.
func TestLimitHeadersEverywhere(t *testing.T) {
	r := newRig(t)
	id, token, key := r.limited(billing.Limits{RequestsPerMinute: 100, TokensPerMinute: 1_000_000, Concurrency: 5})
	poorID, poor := r.account(0)
	for name, a := range map[string]answer{
		"200":     r.chat(token, "paid", `"max_tokens":10`).want(t, 200),
		"balance": r.do("GET", "/api/v1/balance", token, "").want(t, 200),
		"400":     r.do("POST", "/v1/chat/completions", token, "{").want(t, 400),
		"404":     r.chat(token, "no-such-model").want(t, 404),
		"502":     r.chat(token, "sim-error-500").want(t, 502),
	} {
		h := a.header
		if h.Get("X-Ratelimit-Limit-Requests") != "100" || h.Get("X-Ratelimit-Limit-Tokens") != "1000000" ||
			!strings.Contains(h.Get("RateLimit-Policy"), `"concurrency";q=5`) || h.Get("X-Ratelimit-Reset-Tokens") == "" {
			t.Errorf("%s: %v", name, h)
		}
	}
	a := r.chat(poor, "paid", `"max_tokens":10`)
	a.want(t, 402)
	if a.header.Get("RateLimit") == "" || a.header.Get("X-Ratelimit-Remaining-Requests") != a.header.Get("X-Ratelimit-Limit-Requests") {
		t.Errorf("402: %v", a.header)
	}
	if n := r.used(accountBase(poorID)); n != 0 {
		t.Errorf("%d requests of a call without money count", n)
	}
	if n := r.used(baseOf(key)); n != 5 {
		t.Errorf("%d requests count, want 5", n)
	}
	if tokens := r.billed(id, 1); r.used(baseOf(key)+":t") != tokens {
		t.Errorf("%d tokens count, %d were billed", r.used(baseOf(key)+":t"), tokens)
	}
}

// TestDeniedCallersAskNobody: who is over a limit is answered from memory, and a limit
// that was raised is in force within a second.
func TestDeniedCallersAskNobody(t *testing.T) {
	r := newRig(t)
	_, token, key := r.limited(billing.Limits{RequestsPerMinute: 2})
	for range 2 {
		r.do("GET", "/v1/models", token, "").want(t, 200)
	}
	r.do("GET", "/v1/models", token, "").want(t, 429)
	asked, began := r.tap.scripts.Load(), time.Now()
	for range 50 {
		r.do("GET", "/v1/models", token, "").want(t, 429)
		r.chat(token, "paid").want(t, 429)
	}
	if n := r.tap.scripts.Load() - asked; n > 1+int64(time.Since(began)/time.Second) {
		t.Errorf("100 refusals asked Redis %d times", n)
	}
	raised := time.Now()
	r.setLimits(key, billing.Limits{RequestsPerMinute: 1000})
	testenv.Until(r.t, "the raised limit is in force", func() bool { return r.do("GET", "/v1/models", token, "").status == 200 })
	t.Logf("raised limit in force after %s", time.Since(raised))
	r.do("GET", "/v1/models", token, "").want(t, 200)
}

// TestKeyThatEndedIsNotDenied: a key that was denied by a limit, and then was revoked or
// expired, is told so within a second, and from then on each time.
func TestKeyThatEndedIsNotDenied(t *testing.T) {
	r := newRig(t)
	for name, end := range map[string]func(account, key int64) error{
		"revoked": func(account, key int64) error {
			return r.desk.Keys.Revoke(t.Context(), account, key, billing.House)
		},
		"expired": func(account, key int64) error {
			soon := r.client.Time(t.Context()).Val().Add(time.Second)
			_, err := r.desk.Keys.Change(t.Context(), account, key, billing.KeyChange{ExpiresAt: &soon}, billing.House)
			return err
		},
	} {
		id, _ := r.account(10 * dollar)
		key, token, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: id, Limits: billing.Limits{RequestsPerMinute: 1}})
		r.must(err)
		r.do("GET", "/v1/models", token, "").want(t, 200)
		r.do("GET", "/v1/models", token, "").want(t, 429)
		r.must(end(id, key.ID))
		testenv.Until(r.t, name+": it says so", func() bool { return r.do("GET", "/v1/models", token, "").status == 401 })
		for range 20 {
			r.do("GET", "/v1/models", token, "").want(t, 401)
			r.chat(token, "paid").want(t, 401)
		}
	}
}

// TestHouseLimits: who has no limits of their own has the house's; a key with requests of
// its own has no bucket of the house's, and a tier that Redis does not know is no freedom.
func TestHouseLimits(t *testing.T) {
	house := billing.Limits{RequestsPerMinute: 7, RefillMilli: 1, Burst: 5}
	r := newRig(t, func(s *setup) { s.meter.Limits = house })
	policy := func(token string) string {
		return r.do("GET", "/v1/models", token, "").want(t, 200).header.Get("RateLimit-Policy")
	}
	const burst = `"burst";q=5;w=5000`
	for _, c := range []struct {
		own  billing.Limits
		want string
	}{
		{billing.Limits{}, `"requests";q=7;w=60, ` + burst},
		{billing.Limits{RequestsPerMinute: 9}, `"requests";q=9;w=60`},
		{billing.Limits{TokensPerMinute: 800}, `"requests";q=7;w=60, "tokens";q=800;w=60;qu="tokens", ` + burst},
		{billing.Limits{Concurrency: 3, RefillMilli: 2000, Burst: 8}, `"requests";q=7;w=60, "burst";q=8;w=4, "concurrency";q=3;qu="concurrent-requests"`},
	} {
		_, token, _ := r.limited(c.own)
		if got := policy(token); got != c.want {
			t.Errorf("%+v: %s, want %s", c.own, got, c.want)
		}
	}
	id, token, key := r.limited(billing.Limits{RequestsPerMinute: 9})
	r.tiered(id, billing.Limits{RequestsPerMinute: 11})
	if got, want := policy(token), `"requests";q=9;w=60, "account-requests";q=11;w=60`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	record := billing.TierKey(stream.ShardOf(id), "strange") // one that nobody tells again
	_, err := r.pool.Exec(t.Context(), `update accounts set confirmed = true, projected_at = now() where id = $1`, id)
	r.must(err) // else the account's tier is told again while this runs
	r.must(r.client.HSet(t.Context(), billing.AcctKey(id), "tier", "strange").Err())
	for what, spoil := range map[string]func() error{
		"missing":         func() error { return r.client.Del(t.Context(), record).Err() },
		"nonsense":        func() error { return r.client.Set(t.Context(), record, "plenty", 0).Err() },
		"of another type": func() error { r.client.Del(t.Context(), record); return r.client.SAdd(t.Context(), record, "1").Err() },
	} {
		r.must(spoil())
		if got := policy(token); !strings.Contains(got, `"account-requests";q=7;w=60, "account-burst";q=5;w=5000`) {
			t.Errorf("a tier that is %s: %s", what, got)
		}
	}
	r.must(r.client.HSet(t.Context(), billing.KeyKey(id, key.Locator[0]), "limits", "plenty").Err())
	if got := policy(token); !strings.HasPrefix(got, `"requests";q=7;w=60`) {
		t.Errorf("limits of a key that cannot be read: %s", got)
	}
}

// TestChatsHaveTheTier: a chat has its account's tier, or the house's limits.
func TestChatsHaveTheTier(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Limits.RequestsPerMinute = 1 })
	id, _ := r.account(10 * dollar)
	say := func(hold string) error {
		_, err := r.meter.Complete(t.Context(), r.call(id, hold, "word"), func(string) error { return nil })
		return err
	}
	r.must(say("tg-1"))
	if err := say("tg-2"); err == nil {
		t.Fatal("the house's limit let two pass")
	}
	r.tiered(id, billing.Limits{RequestsPerMinute: 3, Concurrency: 1})
	testenv.Until(r.t, "the tier is in force", func() bool { return say("tg-3") == nil })
	if n := r.used(accountBase(id)); n != 2 {
		t.Errorf("%d requests count", n)
	}
	r.must(say("tg-4"))
	if err := say("tg-5"); err == nil {
		t.Error("the tier let four pass")
	}
}

// TestRedisOddities: scripts that Redis forgot are taught again, and keys of a strange type
// do not keep anybody out.
func TestRedisOddities(t *testing.T) {
	r := newRig(t)
	limits := billing.Limits{RequestsPerMinute: 100, TokensPerMinute: 100_000, Concurrency: 4, RefillMilli: 100_000, Burst: 50}
	id, token, key := r.limited(limits)
	organisation := r.organised(limits, dollar, id)
	for what, spoil := range map[string]func(){
		"nothing":           func() {},
		"forgotten scripts": func() { r.must(r.client.ScriptFlush(t.Context()).Err()) },
		"strange types": func() {
			for _, base := range []string{baseOf(key), organisationBase(organisation)} {
				for _, part := range []string{"", ":t", ":c", ":b"} {
					r.must(r.client.Del(t.Context(), base+part).Err())
					r.must(r.client.PFAdd(t.Context(), base+part, "x").Err())
				}
			}
		},
	} {
		spoil()
		r.chat(token, "paid", `"max_tokens":10`).want(t, 200)
		r.chat(token, "paid", `"stream":true`, `"max_tokens":10`).want(t, 200)
		if n := r.used(baseOf(key) + ":c"); n != 0 {
			t.Errorf("%s: %d places are taken", what, n)
		}
	}
}

// TestBreakerRefusesAtOnce: while Redis is away paid calls are refused in bounded time, and
// at once as soon as that is known; when it is back they go on.
func TestBreakerRefusesAtOnce(t *testing.T) {
	var b *ratelimit.Breaker
	r := newRig(t, impatient, func(s *setup) { s.meter.Breaker = lateBreaker{&b} })
	probe := r.redis.ClientWith(quick(silenceMost))
	b = ratelimit.NewBreaker(ratelimit.BreakerOptions{Probe: ratelimit.Ping(probe), Log: r.meter.log})
	t.Cleanup(b.Close)
	id, token, _ := r.limited(billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 100_000, Concurrency: 10})
	r.organised(billing.Limits{RequestsPerMinute: 1000}, 0, id)
	r.chat(token, "paid", `"max_tokens":10`).want(t, 200)
	r.redis.Pause()
	for !b.Open() {
		a := r.chat(token, "paid", `"max_tokens":10`)
		a.wantError(t, 503, "service_unavailable")
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	asked := r.tap.scripts.Load()
	for range 20 {
		r.chat(token, "paid", `"max_tokens":10`).wantError(t, 503, "service_unavailable")
	}
	if n := r.tap.scripts.Load() - asked; n != 0 {
		t.Errorf("an open breaker let %d calls ask", n)
	}
	r.redis.Resume()
	testenv.Until(r.t, "calls pass again", func() bool { return r.chat(token, "paid", `"max_tokens":10`).status == http.StatusOK })
	testenv.Until(r.t, "nothing waits", func() bool {
		return len(r.meter.resolver.money.slots)+len(r.meter.resolver.trueUps.slots) == 0
	})
	r.settled(id)
}

// lateBreaker is one that is made after the meter.
type lateBreaker struct{ b **ratelimit.Breaker }

func (l lateBreaker) Open() bool { return *l.b != nil && (*l.b).Open() }

func (l lateBreaker) Do(ctx context.Context, call func(context.Context) error) error {
	return (*l.b).Do(ctx, call)
}
