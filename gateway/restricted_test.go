package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// restricted makes an account with money and a key of it that is for so much alone.
func (r *rig) restricted(to billing.Restrictions) (id int64, key billing.Key, token string) {
	r.t.Helper()
	id, _ = r.account(10 * dollar)
	key, token, err := r.desk.Keys.Create(r.t.Context(), billing.KeySpec{AccountID: id, Restrictions: to})
	r.must(err)
	return id, key, token
}

func network(t testing.TB, text string) netip.Prefix {
	t.Helper()
	n, err := billing.ParseNetwork(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A key is for its models alone, whichever way they are asked for, and what it refuses
// holds nothing and counts nothing.
func TestKeyModels(t *testing.T) {
	r := newRig(t)
	id, key, token := r.restricted(billing.Restrictions{Models: []string{"word", "sim-tokens-*"}})
	refused := r.chat(token, "paid")
	refused.wantError(t, 403, "key_model_not_allowed")
	if says := refused.get("error.message").Str; !strings.Contains(says, "sim-tokens-*, word") || !strings.Contains(says, "'paid'") {
		t.Errorf("it says %q", says)
	}
	r.chat(token, "sim-token").wantError(t, 404, "model_not_found")
	r.chat(token, "sim-unknown").wantError(t, 403, "key_model_not_allowed")
	r.do("POST", "/v1/chat/completions", token, chatBody("paid", `"stream":true`)).wantError(t, 403, "key_model_not_allowed")
	for _, model := range []string{"word", "sim-tokens-10"} {
		r.chat(token, model).want(t, 200)
	}
	if ids := r.do("GET", "/v1/models", token, "").want(t, 200).get("data.#.id").Raw; ids != `["sim-tokens-10","sim-tokens-500","word"]` && ids != `["word","sim-tokens-10","sim-tokens-500"]` {
		t.Errorf("listed are %s", ids)
	}
	r.do("GET", "/v1/models/word", token, "").want(t, 200)
	r.do("GET", "/v1/models/paid", token, "").wantError(t, 404, "model_not_found")

	// What an account paid for is given again to those of its keys that are for the model.
	open := []string{}
	_, err := r.desk.Keys.Change(t.Context(), id, key.ID, billing.KeyChange{Models: &open}, billing.House)
	r.must(err)
	r.chat(token, "paid").want(t, 200)
	only := []string{"paid"}
	_, err = r.desk.Keys.Change(t.Context(), id, key.ID, billing.KeyChange{Models: &only}, billing.House)
	r.must(err)
	r.chat(token, "paid").want(t, 200)
	r.chat(token, "word").wantError(t, 403, "key_model_not_allowed")
}

// Where a key refuses, nothing is taken of anything that a call may take, wherever it
// lives; and after an instance has met the key, each of its calls is one script of its
// account's shard.
func TestKeyRefusesWhole(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Everyone = 1_000_000 })
	for name, to := range map[string]billing.Restrictions{
		"model":   {Models: []string{"word"}},
		"address": {Networks: []netip.Prefix{network(t, "203.0.113.0/24")}},
		"end":     {},
	} {
		if name == "end" { // soon, but not before the key is made
			to.ExpiresAt = r.client.Time(t.Context()).Val().Add(3 * time.Second)
		}
		id, _, token := r.restricted(to)
		key, err := r.desk.Keys.Parse(token)
		r.must(err)
		all := billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 9, RefillMilli: 1, Burst: 100}
		r.tiered(id, all)
		organisation := r.organised(all, 5*dollar, id)
		r.setLimits(key, all)
		who := caller{account: id, key: &key, model: "paid"}
		testenv.Until(r.t, name+": it is time", func() bool { return r.client.Time(t.Context()).Val().After(to.ExpiresAt) })
		testenv.Until(r.t, name+": the key is refused", func() bool {
			_, err := r.meter.gate.visit(t.Context(), who)
			var refused *restrictedError
			return errors.As(err, &refused)
		})
		before := map[string]string{}
		testenv.Until(r.t, name+": what the calls before took is back", func() bool {
			was := before
			before = r.snapshot(id, organisation, key)
			return maps.Equal(was, before)
		})
		for range 3 {
			if a := r.chat(token, "paid"); a.status != 403 && a.status != 401 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		testenv.Until(r.t, name+": everything is as before", func() bool { return cmp.Diff(before, r.snapshot(id, organisation, key)) == "" })
		if n := r.client.Exists(t.Context(), billing.ExpKey(id)).Val(); n != 0 {
			t.Errorf("%s: something is held", name)
		}
		scripts := r.tap.scripts.Load()
		r.chat(token, "paid")
		if n := r.tap.scripts.Load() - scripts; n != 1 {
			t.Errorf("%s: a call is %d scripts", name, n)
		}
	}
}

// Whatever is asked for with a key, its address and its end are asked first: no route,
// and no fault of a request, is a way past them.
func TestKeyRestrictedOnEveryRoute(t *testing.T) {
	r := newRig(t)
	_, _, token := r.restricted(billing.Restrictions{Networks: []netip.Prefix{network(t, "203.0.113.0/24")}})
	without := []string{"/health", "/readyz", "/webhook", "/api/v1/payment/webhook/stripe", PaymentDonePath, PaymentCanceledPath,
		"/api/docs", "/api/openapi.yaml", "/api/openapi.json", "/graphql/schema", "/api/v1/session",
		"/api/v1/live"} // where a restricted key hears nothing, as webapp's tests say
	asked := 0
	for _, route := range r.server.table() {
		if route.handler == nil || slices.Contains(without, route.path) {
			continue
		}
		asked++
		path := strings.NewReplacer("+", "paid", ":id", "1").Replace(route.path)
		for _, body := range []string{"", "{}", `{"model":"paid","input":"x","prompt":"x","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`} {
			a := r.do(route.method, path, token, body)
			if a.status != 403 || !strings.Contains(a.body, "may not be used from 127.0.0.1") {
				t.Errorf("%s %s %s: %d %s", route.method, path, body, a.status, a.body)
			}
		}
	}
	if asked < 10 {
		t.Errorf("%d routes were asked", asked)
	}
}

// No operation reaches a model that the key is not for.
func TestKeyModelsOnEveryRoute(t *testing.T) {
	r := newRig(t)
	_, _, token := r.restricted(billing.Restrictions{Models: []string{"word"}})
	for path, body := range map[string]string{
		"/v1/chat/completions":      chatBody("paid"),
		"/v1/messages":              messagesBody("paid"),
		"/v1/messages/count_tokens": messagesBody("paid"),
		"/v1/responses":             `{"model":"paid","input":"x","store":false}`,
	} {
		a := r.do("POST", path, token, body)
		if a.status != 403 || !strings.Contains(a.body, "is for word, and not for 'paid'") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// Redis' clock says when a key ends: it works until its moment and from then on does not.
func TestKeyExpires(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	now := r.client.Time(ctx).Val()
	end := now.Add(1500 * time.Millisecond)
	id, key, token := r.restricted(billing.Restrictions{ExpiresAt: end})
	for refused := false; !refused; {
		before := r.client.Time(ctx).Val()
		a := r.do("GET", "/api/v1/balance", token, "")
		after := r.client.Time(ctx).Val()
		switch {
		case a.status == 200 && before.After(end):
			t.Fatalf("at %s a key works that ended at %s", before, end)
		case a.status == 401 && after.Before(key.ExpiresAt):
			t.Fatalf("at %s a key is refused that ends at %s", after, end)
		case a.status == 401:
			refused = true
			if code := a.get("error.code").Str; code != "key_expired" || !strings.Contains(a.get("error.message").Str, key.ExpiresAt.Format("2006-01-02 15:04:05")) {
				t.Errorf("refused with %s", a.body)
			}
		case a.status != 200:
			t.Fatalf("answered %d %s", a.status, a.body)
		}
	}
	r.chat(token, "paid").wantError(t, 401, "key_expired")
	later := end.Add(time.Hour)
	_, err := r.desk.Keys.Change(ctx, id, key.ID, billing.KeyChange{ExpiresAt: &later}, billing.House)
	r.must(err)
	r.chat(token, "paid").want(t, 200)
}

// An address is in a key's networks or it is not, in whichever form either is written.
func TestKeyAddresses(t *testing.T) {
	r := newRig(t)
	_, _, token := r.restricted(billing.Restrictions{Networks: []netip.Prefix{
		network(t, "203.0.113.0/25"), network(t, "198.51.100.7"), network(t, "2001:db8:1::/49"), network(t, "::ffff:192.0.2.0/120"),
	}})
	key, err := r.desk.Keys.Parse(token)
	r.must(err)
	for _, c := range []struct {
		from string
		good bool
	}{
		{"203.0.113.0", true}, {"203.0.113.127", true}, {"203.0.113.128", false}, {"203.0.112.255", false},
		{"198.51.100.7", true}, {"198.51.100.6", false}, {"198.51.100.70", false},
		{"2001:db8:1::", true}, {"2001:db8:1:7fff::9", true}, {"2001:db8:1:8000::", false}, {"2001:db8:2::", false},
		{"192.0.2.255", true}, {"192.0.3.0", false}, {"::ffff:203.0.113.1", true}, {"::ffff:203.0.113.200", false},
		{"::203.0.113.1", false}, {"", false},
	} {
		key.From = netip.Addr{}
		if c.from != "" {
			key.From = netip.MustParseAddr(c.from)
		}
		_, err := r.meter.Visit(t.Context(), key, "")
		var refused *restrictedError
		if c.good && err != nil || !c.good && (!errors.As(err, &refused) || refused.by != byAddress) {
			t.Errorf("from %q: %v", c.from, err)
		}
	}
}

// What a proxy of ours says of its client counts, and what anybody else says does not.
func TestKeyAddressForged(t *testing.T) {
	lan := []netip.Prefix{network(t, "203.0.113.0/24"), network(t, "2001:db8::7")}
	for name, c := range map[string]struct {
		proxies networks
		want    map[string]int // X-Real-IP: status
	}{
		"behind our proxy": {proxySet{netip.MustParsePrefix("127.0.0.0/8")}, map[string]int{
			"203.0.113.9": 200, "::ffff:203.0.113.9": 200, "198.51.100.1": 403, "": 403, "203.0.113.9, 198.51.100.1": 403,
			"2001:db8::7": 200, "2001:db8::8": 403, // of one /64, which is one client only where clients are counted
		}},
		"from a stranger": {proxySet{netip.MustParsePrefix("10.0.0.0/8")}, map[string]int{"203.0.113.9": 403, "": 403}},
		"without proxies": {nil, map[string]int{"203.0.113.9": 403}},
	} {
		r := newRig(t, func(s *setup) { s.server.Proxies = c.proxies })
		_, _, token := r.restricted(billing.Restrictions{Networks: lan})
		for told, status := range c.want {
			a := r.do("GET", "/api/v1/balance", token, "", headerRealIP, told, "X-Forwarded-For", "203.0.113.9")
			if a.status != status || status == 403 && a.get("error.code").Str != "key_address_not_allowed" {
				t.Errorf("%s, told %q: %d %s", name, told, a.status, a.body)
			}
		}
	}
}

type proxySet []netip.Prefix

func (p proxySet) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a.Unmap()) })
}

// Who holds a key that ended, or uses it from where it is not for, counts as one who
// tries keys; who asks for the wrong model does not.
func TestRestrictedStrangers(t *testing.T) {
	failures := &countedFailures{most: 1000}
	r := newRig(t, func(s *setup) { s.server.Failures = failures })
	_, _, wrong := r.restricted(billing.Restrictions{Models: []string{"word"}})
	r.chat(wrong, "paid").want(t, 403)
	if n := failures.of("127.0.0.1"); n != 0 {
		t.Errorf("a wrong model is %d failures", n)
	}
	_, _, away := r.restricted(billing.Restrictions{Networks: []netip.Prefix{network(t, "203.0.113.7")}})
	r.chat(away, "paid").want(t, 403)
	if n := failures.of("127.0.0.1"); n != 1 {
		t.Errorf("a wrong address is %d failures", n)
	}
}

// The scripts and Go judge alike which models a key is for.
func TestModelAllowedAlike(t *testing.T) {
	r := newRig(t)
	lists := [][]string{{"a*"}, {"gpt-4o"}, {"gpt-4o*"}, {"a", "b/c:d@1.0"}, {"x.y*", "z"}}
	asked := []string{"a", "ab", "b", "gpt-4", "gpt-4o", "gpt-4o-mini", "gpt-4o*", "b/c:d@1.0", "b/c:d@1x0", "xzy", "x.y", "x.yz", "zz", "z", ","}
	for _, list := range lists {
		id, _, token := r.restricted(billing.Restrictions{Models: list})
		key, err := r.desk.Keys.Parse(token)
		r.must(err)
		for _, model := range asked {
			p, err := r.meter.gate.admit(t.Context(), caller{account: id, key: &key, model: model},
				reservation{holdID: newHoldID(), fingerprint: billing.SourceAPI, want: 1, least: 1, life: holdLife})
			want := billing.ModelAllowed(strings.Join(list, ","), model)
			if (err == nil) != want || p.models.allows(model) != want || err == nil && p.status != "ok" {
				t.Errorf("%v and %q: the script says %q, %v; Go says %t", list, model, p.status, err, want)
			}
		}
		if _, err := r.meter.gate.admit(t.Context(), caller{account: id, key: &key},
			reservation{holdID: newHoldID(), fingerprint: billing.SourceAPI, want: 1, least: 1, life: holdLife}); err == nil {
			t.Error("a paid call of no model is admitted")
		}
	}
}

// Restrictions hold beside limits of every kind, in a tier and in an organisation.
func TestRestrictedEverywhere(t *testing.T) {
	r := newRig(t)
	id, key, token := r.restricted(billing.Restrictions{Models: []string{"paid"}})
	r.tiered(id, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 5})
	r.organised(billing.Limits{RequestsPerMinute: 3}, 5*dollar, id)
	for range 3 { // none of them counts
		r.chat(token, "word").wantError(t, 403, "key_model_not_allowed")
	}
	testenv.Until(r.t, "what was taken is given back", func() bool { return r.chat(token, "paid").status == 200 })
	r.must(r.desk.Keys.Revoke(t.Context(), id, key.ID, billing.House))
	r.chat(token, "paid").wantError(t, 401, "invalid_api_key")
}

// BenchmarkAdmitRestricted is BenchmarkAdmit for a key that is restricted in every way.
func BenchmarkAdmitRestricted(b *testing.B) {
	r := newRig(b)
	id, _ := r.account(1_000_000 * dollar)
	models := make([]string, 8)
	for i := range models {
		models[i] = fmt.Sprintf("model-%d*", i)
	}
	_, token, err := r.desk.Keys.Create(b.Context(), billing.KeySpec{AccountID: id, Restrictions: billing.Restrictions{
		Models: models, Networks: []netip.Prefix{network(b, "203.0.113.0/24"), network(b, "2001:db8::/32")}, ExpiresAt: time.Now().Add(time.Hour)}})
	r.must(err)
	key, err := r.desk.Keys.Parse(token)
	r.must(err)
	key.From = netip.MustParseAddr("2001:db8::7")
	who := caller{account: id, key: &key, model: "model-7-mini"}
	ctx := b.Context()
	before := r.processor()
	for b.Loop() {
		_, err := r.meter.gate.admit(ctx, who, reservation{holdID: newHoldID(), fingerprint: billing.SourceAPI, want: 1, least: 1, life: holdLife})
		r.must(err)
	}
	b.ReportMetric((r.processor()-before)*1e6/float64(b.N), "redis-cpu-µs/op")
}

// A fallback is another model: the key must be for it, and one that it is for goes on.
func TestKeyModelsOfFallbacks(t *testing.T) {
	r := newRig(t, func(s *setup) {
		s.models = `  - {id: shaky, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: sim, model: sim-error-500}], fallbacks: [paid, word]}` + "\n"
	})
	_, open := r.account(10 * dollar)
	answeredBy := func(key, model string) { // what may be tried beyond a call's first grows with time
		t.Helper()
		testenv.Until(r.t, model+" answers", func() bool { return r.chat(key, "shaky").header.Get("X-Model") == model })
	}
	id, _, token := r.restricted(billing.Restrictions{Models: []string{"shaky"}})
	for range 5 { // meanwhile the breaker opens, and from then on a fallback is the first attempt
		answeredBy(open, "paid")
		if a := r.chat(token, "shaky"); a.status != 502 && a.status != 503 {
			t.Errorf("a key for one model: %d %s", a.status, a.header.Get("X-Model"))
		}
	}
	r.wantBalance(id, 10*dollar)
	_, _, token = r.restricted(billing.Restrictions{Models: []string{"shaky", "word"}})
	answeredBy(token, "word")
}

// An answer that the account got before is given to those of its keys alone that are for
// its model.
func TestKeyModelsOfKeptAnswers(t *testing.T) {
	r, _ := answering(t)
	id, key := r.account(10 * dollar)
	body := chatBody("paid", still)
	r.complete(key, body, "Cache-Control", old).want(t, 200)
	testenv.Until(r.t, "the answer is kept", func() bool { return r.complete(key, body, "Cache-Control", old).header.Get(headerCache) == cacheHit })
	_, other, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: id, Restrictions: billing.Restrictions{Models: []string{"word"}}})
	r.must(err)
	r.complete(other, body, "Cache-Control", old).wantError(t, 403, "key_model_not_allowed")
}

// Anthropic's clients hear of restrictions in their own words.
func TestRestrictedMessages(t *testing.T) {
	r := newRig(t)
	_, _, token := r.restricted(billing.Restrictions{Models: []string{"word"}})
	a := r.do("POST", "/v1/messages", "", messagesBody("paid"), "X-Api-Key", token).want(t, 403)
	if a.get("type").Str != "error" || a.get("error.type").Str != "permission_error" || !strings.Contains(a.get("error.message").Str, "is for word, and not for 'paid'") {
		t.Errorf("answered %s", a.body)
	}
}
