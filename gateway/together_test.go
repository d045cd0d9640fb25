package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// snapshot is what an account, its keys and its organisation have, of everything that a
// call may take.
func (r *rig) snapshot(account, organisation int64, key billing.PresentedKey) map[string]string {
	ctx, seen := context.Background(), map[string]string{}
	for _, base := range []string{baseOf(key), accountBase(account), organisationBase(organisation), ratelimit.Key(everyoneTag, scopeEveryone, "requests")} {
		for _, part := range []string{"", ":t", ":c"} {
			seen[base+part] = strconv.FormatInt(r.used(base+part), 10)
		}
		full, _, _ := strings.Cut(r.client.Get(ctx, base+":b").Val(), "|")
		seen[base+":b"] = full
	}
	seen["money"] = fmt.Sprint(r.client.HMGet(ctx, billing.AcctKey(account), "available", "held").Val())
	spent := strings.Split(r.client.HGet(ctx, billing.OrganisationKey(organisation), "spent").Val()+"||", "|")
	seen["spent"] = first(spent[1], "0")
	return seen
}

// TestAllOrNothing: whichever of all limits and budgets refuses a call, nothing of any of
// them is taken, wherever they live; and an admitted call takes of each.
func TestAllOrNothing(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Everyone = 60 })
	limits := func(t *rapid.T, name string) billing.Limits {
		return billing.Limits{
			RequestsPerMinute: rapid.SampledFrom([]int64{0, 1, 3, 200}).Draw(t, name+" rpm"),
			TokensPerMinute:   rapid.SampledFrom([]int64{0, 90, 400, 100_000}).Draw(t, name+" tpm"),
			Concurrency:       rapid.SampledFrom([]int64{0, 1, 2}).Draw(t, name+" at once"),
			RefillMilli:       1, Burst: rapid.SampledFrom([]int64{0, 2, 4}).Draw(t, name+" burst"),
		}
	}
	ctx := t.Context()
	var admitted, refused int
	rapid.Check(t, func(t *rapid.T) {
		r.client.Del(ctx, ratelimit.Key(everyoneTag, scopeEveryone, "requests"))
		id, _, key := r.limited(billing.Limits{})
		r.setLimits(key, limits(t, "key"))
		organisation := id + 1_000_003
		name := fmt.Sprintf("rapid-%d", id)
		r.must(r.client.Set(ctx, billing.TierKey(stream.ShardOf(id), name), limits(t, "tier").Packed(), 0).Err())
		r.must(r.client.HSet(ctx, billing.AcctKey(id), "tier", name, "org", organisation,
			"available", rapid.SampledFrom([]int64{50, 5000, dollar}).Draw(t, "available")).Err())
		r.must(r.client.HSet(ctx, billing.OrganisationKey(organisation), "limits", limits(t, "organisation").Packed(), "status", "active",
			"budget", rapid.SampledFrom([]string{"0|0", "60|0", "0|4000"}).Draw(t, "budget"), "spent", "0|0|0|0", "seq", "1").Err())
		who := caller{account: id, key: &key}
		var live []taken
		var holds []string
		for range rapid.IntRange(1, 8).Draw(t, "calls") {
			if len(live) > 0 && rapid.Bool().Draw(t, "one ends") {
				r.meter.resolver.release(id, holds[0], live[0])
				live, holds = live[1:], holds[1:]
			}
			want := rapid.Int64Range(1, 100).Draw(t, "tokens")
			reservation := reservation{
				holdID: newHoldID(), fingerprint: "x", want: 100, least: rapid.SampledFrom([]int64{10, 100}).Draw(t, "least"),
				tokens: tokens{want, want, rapid.Int64Range(1, want).Draw(t, "bare")}, life: time.Minute,
			}
			r.meter.gate.refusals.forget(who.name())
			before := r.snapshot(id, organisation, key)
			p, err := r.meter.gate.admit(ctx, who, reservation)
			after := r.snapshot(id, organisation, key)
			if err == nil && p.status == "ok" {
				admitted++
				live, holds = append(live, p.taken), append(holds, reservation.holdID)
				for _, entry := range p.decision.Results {
					if entry.Cost == 0 || before[entry.Key] == after[entry.Key] {
						t.Fatalf("admitted, and %s takes nothing of %s: %v", entry.Name, entry.Scope, after)
					}
				}
				continue
			}
			refused++
			if errors.Is(err, billing.ErrClosed) {
				t.Fatal(err)
			}
			for _, seen := range []map[string]string{before, after} { // what was given back to a bucket may be whole by itself
				maps.DeleteFunc(seen, func(name, _ string) bool {
					return strings.HasSuffix(name, ":b") && strings.HasPrefix(name, organisationBase(organisation))
				})
			}
			if !maps.Equal(before, after) {
				t.Fatalf("refused (%s, %v), and something was taken: before %v, after %v", p.status, err, before, after)
			}
		}
	})
	t.Logf("%d admitted, %d refused", admitted, refused)
	if admitted == 0 || refused == 0 {
		t.Error("nothing was tried")
	}
}

// TestEndingsLeaveNothing: whichever way a call ends, its places are free and the tokens
// that count are those that were billed.
func TestEndingsLeaveNothing(t *testing.T) {
	r := newRig(t, func(s *setup) {
		quickPings(s)
		s.timeouts = llm.Timeouts{FirstByte: 500 * time.Millisecond, Stall: 500 * time.Millisecond, Total: 3 * time.Second}
	})
	limits := billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 1}
	organisation := r.organised(limits, dollar)
	streamed := `"stream":true`
	for name, end := range map[string]func(key string){
		"answered":              func(key string) { r.chat(key, "paid").want(t, 200) },
		"answered in a stream":  func(key string) { r.chat(key, "paid", streamed).want(t, 200) },
		"without usage":         func(key string) { r.chat(key, "sim-no-usage").want(t, 200) },
		"with absurd usage":     func(key string) { r.chat(key, "sim-usage-huge").want(t, 200) },
		"refused by provider":   func(key string) { r.chat(key, "sim-error-400").want(t, 400) },
		"provider's limit":      func(key string) { r.chat(key, "sim-429").want(t, 429) },
		"provider away":         func(key string) { r.chat(key, "gone").want(t, 502) },
		"provider broken":       func(key string) { r.chat(key, "sim-html", streamed).want(t, 502) },
		"provider silent":       func(key string) { r.chat(key, "sim-hang").want(t, 504) },
		"stalls after a token":  func(key string) { r.chat(key, "sim-stall", streamed).want(t, 200) },
		"cut":                   func(key string) { r.chat(key, "sim-cut", streamed).want(t, 200) },
		"cut before a token":    func(key string) { r.chat(key, "sim-cut-early", streamed).want(t, 200) },
		"client leaves at once": func(key string) { r.begin(key, "sim-silent").leave(true) },
		"client leaves later": func(key string) {
			w := r.begin(key, "sim-stall")
			w.await(": ping")
			w.leave(false)
		},
		"no money": func(key string) { r.chat(key, "paid", `"max_tokens":4000`, `"n":8`) },
		"bad body": func(key string) { r.do("POST", "/v1/chat/completions", key, "{").want(t, 400) },
	} {
		t.Run(name, func(t *testing.T) {
			id, token, key := r.limited(limits)
			r.tiered(id, limits)
			r.must(r.desk.Organisations.Add(t.Context(), organisation, id, billing.House))
			ofOrganisation := r.used(organisationBase(organisation) + ":t")
			end(token)
			testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
			r.settled(id)
			var billed int64
			testenv.Until(r.t, "the ledger has it", func() bool {
				var waiting int64
				r.must(r.pool.QueryRow(t.Context(), `select coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint, coalesce(sum(captured_nano), 0)::bigint from usage where account_id = $1`, id).Scan(&billed, &waiting))
				return 10*dollar-r.balance(id).Available == waiting
			})
			if got := r.used(organisationBase(organisation)+":t") - ofOrganisation; got != billed {
				t.Errorf("the organisation counts %d tokens, %d were billed", got, billed)
			}
			for _, base := range []string{baseOf(key), accountBase(id), organisationBase(organisation)} {
				if n := r.used(base + ":c"); n != 0 {
					t.Errorf("%s: %d places are taken", base, n)
				}
			}
			for _, base := range []string{baseOf(key), accountBase(id)} {
				if n := r.used(base + ":t"); n != billed {
					t.Errorf("%s counts %d tokens, %d were billed", base, n, billed)
				}
			}
			if n := r.client.ZCard(t.Context(), billing.ClaimsKey(organisation)).Val(); n != 0 {
				t.Errorf("%d claims are left", n)
			}
		})
	}
}

// TestPlacesAreKept: a call keeps its place for as long as it lives, by renewals, and one
// whose process died loses it by itself.
func TestPlacesAreKept(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.HoldLife = 2 * time.Second })
	_, token, key := r.limited(billing.Limits{RequestsPerMinute: 1000, Concurrency: 1})
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 500, Cadence: 10 * time.Millisecond}) // five seconds
	w := r.begin(token, "sim-tokens-500")
	ends := func() float64 {
		held := r.client.ZRangeWithScores(t.Context(), baseOf(key)+":c", 0, -1).Val()
		if len(held) != 1 {
			return 0
		}
		return held[0].Score
	}
	began := ends()
	testenv.Until(r.t, "the place was renewed for longer than a life", func() bool {
		if a := r.chat(token, "paid"); a.status != 429 || !strings.Contains(a.body, "1 calls under way") {
			t.Fatalf("a second call: %d %s", a.status, a.body)
		}
		return ends() > began+2_000_000
	})
	w.await("[DONE]")
	testenv.Until(r.t, "the place is free", func() bool { return r.chat(token, "paid").status == 200 })

	who := caller{account: key.Account, key: &key}
	dead := reservation{holdID: "died", fingerprint: "x", want: 1, least: 1, life: time.Second}
	_, err := r.meter.gate.admit(t.Context(), who, dead)
	r.must(err)
	r.chat(token, "paid").want(t, 429)
	testenv.Until(r.t, "a dead call's place is free", func() bool { return r.chat(token, "paid").status == 200 })
}

// TestNeverOverWithThreeMeters: 200 workers on three instances are let through exactly as
// often as each limit says, and no less.
func TestNeverOverWithThreeMeters(t *testing.T) {
	r := newRig(t)
	meters := []*Meter{r.meter, r.another(), r.another()}
	const requests, tokensMost, perCall, places = 120, 20_000, 100, 7
	for name, c := range map[string]struct {
		limits billing.Limits
		most   int64
	}{
		"requests":    {billing.Limits{RequestsPerMinute: requests}, requests},
		"tokens":      {billing.Limits{TokensPerMinute: tokensMost}, tokensMost / perCall},
		"concurrency": {billing.Limits{Concurrency: places}, places},
		"burst":       {billing.Limits{RefillMilli: 1, Burst: 50}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			id, _, key := r.limited(billing.Limits{RequestsPerMinute: 1_000_000})
			r.tiered(id, c.limits)
			organisation := r.organised(c.limits, 0, id)
			began := time.Now()
			var admitted atomic.Int64
			var group sync.WaitGroup
			for worker := range 200 {
				group.Go(func() {
					who := caller{account: id, key: &key}
					for range 3 {
						_, err := meters[worker%len(meters)].gate.admit(context.Background(), who, reservation{
							holdID: newHoldID(), fingerprint: "x", want: 1, least: 1, tokens: tokens{perCall, perCall, perCall}, life: time.Hour})
						var exceeded *ratelimit.ExceededError
						switch {
						case err == nil:
							admitted.Add(1)
						case !errors.As(err, &exceeded):
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			if n := admitted.Load(); n > c.most && time.Since(began) < time.Minute || n < c.most*97/100 {
				t.Errorf("%d calls were let through, the limit lets %d", n, c.most)
			}
			if name == "requests" {
				if n := r.used(organisationBase(organisation)); n != requests {
					t.Errorf("the organisation counts %d", n)
				}
			}
		})
	}
}

// another is a meter of another instance, on the same Redis.
func (r *rig) another() *Meter {
	r.t.Helper()
	client := r.redis.ClientWith(quick(patient))
	m, err := NewMeter(MeterOptions{
		Redis: Joining(client, nil), Holds: r.desk.Holds, Claims: r.desk.Organisations, Catalogue: r.meter.catalogue, Client: r.provider,
		Log: r.meter.log, Limits: billing.Limits{RequestsPerMinute: 1_000_000}, Patience: patient,
	})
	r.must(err)
	r.t.Cleanup(func() { r.must(m.Close(context.Background())) })
	return m
}

// TestHintsAreNoDecision: an account that changes its organisation is under the limits of
// the one it is in, whatever an instance remembers.
func TestHintsAreNoDecision(t *testing.T) {
	r := newRig(t)
	id, token, _ := r.limited(billing.Limits{RequestsPerMinute: 1000})
	none := billing.Limits{RequestsPerMinute: 1000}
	a, b := r.organised(none, 0, id), r.organised(none, 0)
	pay := func(inA, inB int64) {
		t.Helper()
		r.chat(token, "paid", `"max_tokens":10`).want(t, 200)
		if gotA, gotB := r.used(organisationBase(a)), r.used(organisationBase(b)); gotA != inA || gotB != inB {
			t.Errorf("the organisations count %d and %d, want %d and %d", gotA, gotB, inA, inB)
		}
	}
	pay(1, 0)
	pay(2, 0)
	r.must(r.desk.Organisations.Remove(t.Context(), a, id, billing.House))
	pay(2, 0)
	r.must(r.desk.Organisations.Add(t.Context(), b, id, billing.House))
	pay(2, 1)
	_, err := r.desk.Organisations.Set(t.Context(), b, billing.OrganisationChange{Status: "suspended"}, billing.House)
	r.must(err)
	r.chat(token, "paid", `"max_tokens":10`).want(t, 403)
	r.do("GET", "/api/v1/balance", token, "").want(t, 200)
}

// TestOrganisationsBudgetStopsCalls: what accounts spend together is bounded, calls under
// way included.
func TestOrganisationsBudgetStopsCalls(t *testing.T) {
	r := newRig(t)
	const calls, cost = 20, 10 * 1_000 // ten tokens of "word"
	var tokens []string
	var ids []int64
	for range 4 {
		id, token := r.account(dollar)
		ids, tokens = append(ids, id), append(tokens, token)
	}
	r.organised(billing.Limits{}, calls*cost, ids...)
	var ok, refused atomic.Int64
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			switch a := r.chat(tokens[i%len(tokens)], "word", `"max_tokens":10`); a.status {
			case 200:
				ok.Add(1)
			case 402:
				refused.Add(1)
				if code := a.get("error.code").Str; code != "budget_exceeded" {
					t.Error(code)
				}
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	group.Wait()
	if ok.Load() != calls || refused.Load() != 60-calls {
		t.Errorf("%d calls were made on money for %d, %d refused", ok.Load(), calls, refused.Load())
	}
}

// TestMomentsOfACall: a paid call asks Redis twice, and with an organisation and a limit of
// everyone three times, however many scripts that are.
func TestMomentsOfACall(t *testing.T) {
	for name, c := range map[string]struct {
		everyone int64
		limits   billing.Limits
		member   bool
		want     int64
	}{
		"requests alone":     {0, billing.Limits{RequestsPerMinute: 1000}, false, 2},
		"every kind":         {0, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 9, RefillMilli: 9000, Burst: 900}, false, 2},
		"an organisation":    {0, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 9}, true, 3},
		"all there is":       {1000, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000, Concurrency: 9}, true, 3},
		"everyone's and own": {1000, billing.Limits{RequestsPerMinute: 1000, TokensPerMinute: 1_000_000}, false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(s *setup) { s.meter.Everyone = c.everyone })
			id, token, _ := r.limited(c.limits)
			if c.member {
				r.tiered(id, c.limits)
				r.organised(c.limits, dollar, id)
			}
			const calls = 5
			r.chat(token, "paid", `"max_tokens":10`).want(t, 200) // brings scripts and the hint
			before := r.tap.moments.Load()
			for range calls {
				r.chat(token, "paid", `"max_tokens":10`).want(t, 200)
			}
			if n := r.tap.moments.Load() - before; n != c.want*calls {
				t.Errorf("%d calls asked Redis %d times, want %d each", calls, n, c.want)
			}
		})
	}
}
