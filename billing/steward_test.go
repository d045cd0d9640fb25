package billing

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

func number(n int64) *int64 { return &n }

// stewards are one for each shard, which never wait.
func (r *rig) stewards() (all [stream.Shards]*steward) {
	for s := range all {
		all[s] = r.engine.newSteward(stream.Shard(s))
	}
	return all
}

func (r *rig) steward(account int64) *steward { return r.engine.newSteward(shardOf(account)) }

// rebuilt is what Redis has of all shards after it lost everything.
func (r *rig) rebuilt() {
	r.t.Helper()
	for s := range r.owners {
		r.owners[s] = r.newOwner(stream.Shard(s))
		r.must(r.owners[s].open(r.t.Context()))
	}
}

// An account's tier and organisation are in its hash when they were changed, whoever
// crashed, and after Redis lost all; an older word is not heard.
func TestMemberships(t *testing.T) { onBoth(t, testMemberships) }

func testMemberships(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(100)
	want := func(tier, org string) {
		t.Helper()
		h := client.HGetAll(ctx, AcctKey(account)).Val()
		if h[AccountFieldTier] != tier || h[AccountFieldOrg] != org {
			t.Fatalf("tier %q, organisation %q; want %q, %q", h[AccountFieldTier], h[AccountFieldOrg], tier, org)
		}
	}
	want("", "")
	_, err := r.desk.Tiers.Set(ctx, "gold", LimitChange{}, House)
	r.must(err)
	o := r.organisation(Budget{}, account)
	org := decimal(o.org.ID)
	want("", org)
	r.must(r.desk.Tiers.Assign(ctx, account, "gold", House))
	want("gold", org)
	r.must(r.desk.Tiers.projector.membership(ctx, membership{Account: account, Seq: 1}))
	want("gold", org)
	r.unprojected(func(desk *Desk) {
		if err := desk.Organisations.Remove(ctx, o.org.ID, account, House); !errors.Is(err, ErrClosed) {
			t.Fatalf("without Redis: %v", err)
		}
	})
	want("gold", org)
	r.relayAll()
	want("gold", "")
	r.must(r.desk.Organisations.Add(ctx, o.org.ID, account, House))
	r.must(client.FlushAll(ctx).Err())
	r.rebuilt()
	want("gold", org)
	r.must(r.desk.Tiers.Assign(ctx, account, "", House))
	want("", org)
	r.must(r.desk.Accounts.Close(ctx, account, House))
	r.relayAll()
	want("", "")
}

// Who may not belong to an organisation, and what one may not be called, is told.
func TestOrganisationRefusals(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	one, two := r.organisation(Budget{}), r.organisation(Budget{})
	account, closed := r.account(0), r.account(0)
	r.must(r.desk.Accounts.Close(ctx, closed, House))
	r.must(r.desk.Organisations.Add(ctx, one.org.ID, account, House))
	r.must(r.desk.Organisations.Add(ctx, one.org.ID, account, House))
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"another's":          {r.desk.Organisations.Add(ctx, two.org.ID, account, House), ErrMember},
		"of none":            {r.desk.Organisations.Remove(ctx, two.org.ID, account, House), ErrNoMember},
		"of nothing":         {r.desk.Organisations.Add(ctx, 1<<40, account, House), ErrOrganisationUnknown},
		"nobody":             {r.desk.Organisations.Add(ctx, one.org.ID, 1<<40, House), ErrAccountUnknown},
		"one that is closed": {r.desk.Organisations.Add(ctx, one.org.ID, closed, House), ErrAccountUnknown},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	for _, name := range []string{"", " ", "a ", "a\nb", "a\x00", "\xff", one.org.Name + one.org.Name + one.org.Name + one.org.Name} {
		if _, err := r.desk.Organisations.Create(ctx, name, OrganisationChange{}, House); !errors.Is(err, ErrOrganisationName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := r.desk.Organisations.Create(ctx, one.org.Name, OrganisationChange{}, House); !errors.Is(err, ErrOrganisationExists) {
		t.Errorf("twice: %v", err)
	}
	for _, change := range []OrganisationChange{{Status: "closed"}, {BudgetDay: number(-1)}, {BudgetMonth: number(MaxNano + 1)},
		{Limits: LimitChange{Burst: number(1)}}} {
		if _, err := r.desk.Organisations.Set(ctx, one.org.ID, change, House); err == nil {
			t.Errorf("%+v is set", change)
		}
	}
	if _, err := r.desk.Organisations.Set(ctx, 1<<40, OrganisationChange{}, House); !errors.Is(err, ErrOrganisationUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := r.desk.Organisations.Set(ctx, one.org.ID, OrganisationChange{Status: StatusSuspended}, House); err != nil {
		t.Fatal(err)
	}
	if _, err := one.claim(account, "a", 1, 1); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a call of a suspended organisation: %v", err)
	}
	all, err := r.desk.Organisations.List(ctx)
	r.must(err)
	if len(all) != 2 || all[0].Accounts != 1 || all[0].Status != StatusSuspended || all[1].Accounts != 0 {
		t.Errorf("%+v", all)
	}
}

// call claims, holds and settles, or leaves the claim where it is.
func (r *orgRig) call(account int64, id string, nano int64, resolves bool) {
	r.t.Helper()
	c, err := r.claim(account, id, nano, nano)
	r.must(err)
	r.reserve(account, id, nano)
	s := settlement(account, id, nano)
	s.Organisation, s.OrganisationDay = c.Organisation, c.day
	captured, err := r.desk.Holds.Settle(r.t.Context(), s)
	r.must(err)
	if resolves {
		r.resolve(c, captured.Nano)
	}
}

// due lets the deadlines of all claims pass.
func (r *orgRig) due() {
	r.t.Helper()
	key := ClaimsKey(r.org.ID)
	for _, name := range r.redis.ZRange(r.t.Context(), key, 0, -1).Val() {
		r.must(r.redis.ZAdd(r.t.Context(), key, redis.Z{Score: 1, Member: name}).Err())
	}
}

// What an organisation spent is in the ledger by the day it was counted on, and back in
// Redis after that lost everything; the first budget knows of what was spent without one.
func TestOrganisationRebuilt(t *testing.T) { onBoth(t, testOrganisationRebuilt) }

func testOrganisationRebuilt(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	a, b := r.account(10_000), r.account(10_000)
	o := r.organisation(Budget{DayNano: 5000, MonthNano: 9000}, a, b)
	o.call(a, "one", 700, true)
	o.call(b, "two", 300, true)
	r.drainAll()
	if n := r.count(`select sum(captured_nano) from organisation_days where organisation_id = $1`, o.org.ID); n != 1000 {
		t.Fatalf("the ledger has %d", n)
	}
	o.call(b, "after", 50, true) // the ledger has it with the rebuild of its own shard
	w := r.steward(o.org.ID)
	r.must(w.look(ctx))
	o.wantSpent(1050)

	r.must(client.Del(ctx, OrganisationKey(o.org.ID)).Err())
	if _, err := o.claim(a, "x", 1, 1); !errors.Is(err, ErrClosed) {
		t.Fatalf("a call of an organisation that Redis lost: %v", err)
	}
	r.must(w.look(ctx))
	if client.Exists(ctx, OrganisationKey(o.org.ID)).Val() != 0 {
		t.Fatal("restored before the ledger has what was spent")
	}
	r.drainAll()
	r.must(w.look(ctx))
	o.wantSpent(1050)

	c, err := o.claim(a, "live", 400, 400)
	r.must(err)
	r.must(client.Del(ctx, OrganisationKey(o.org.ID)).Err())
	r.must(client.SAdd(ctx, lostOrganisationsKey(shardOf(o.org.ID)), o.org.ID).Err())
	r.must(w.look(ctx))
	o.wantSpent(1450) // with the claim under way
	o.resolve(c, 0)
	o.wantSpent(1050)

	r.must(client.FlushAll(ctx).Err())
	r.rebuilt()
	r.must(w.look(ctx))
	for range 2 {
		r.must(r.steward(o.org.ID).look(ctx))
	}
	o.wantSpent(1050)
	if h := client.HGetAll(ctx, OrganisationKey(o.org.ID)).Val(); h["budget"] != "5000|9000" || h["limits"] != NoLimits || h["status"] != StatusActive {
		t.Fatalf("%v", h)
	}
	free := r.organisation(Budget{}, r.account(10_000))
	if c, err := free.claim(b, "free", 100, 100); err != nil || c.counted || c.nano != 100 {
		t.Fatalf("%+v, %v", c, err)
	}
	all, err := r.desk.Organisations.List(ctx)
	r.must(err)
	if all[0].Spent != (Budget{1050, 1050}) || all[1].Spent != (Budget{}) {
		t.Fatalf("%+v", all)
	}
}

// What Redis counts is never less than what the ledger has: a claim that was lost, and
// whose call nobody ended, is found there.
func TestOrganisationReview(t *testing.T) {
	client := testenv.Redis(t)
	r := newRig(t, client)
	ctx := t.Context()
	a := r.account(10_000)
	o := r.organisation(Budget{DayNano: 5000}, a)
	o.call(a, "one", 700, false)
	key := OrganisationKey(o.org.ID)
	r.must(client.Del(ctx, ClaimKey(o.org.ID, a, "one"), ClaimsKey(o.org.ID)).Err())
	r.must(client.HDel(ctx, key, "spent").Err())
	o.call(a, "two", 100, true)
	o.wantSpent(100)
	r.drainAll()
	r.must(r.steward(o.org.ID).look(ctx))
	o.wantSpent(800)
	o.call(a, "three", 10, true) // more than the ledger has yet: nothing is taken off
	r.must(r.steward(o.org.ID).look(ctx))
	o.wantSpent(810)
}

// A claim that its call left behind comes to what the call's hold came to, however it
// ended, and to nothing only when it is sure that there is none.
func TestClaimsLeftBehind(t *testing.T) { onBoth(t, testClaimsLeftBehind) }

func testClaimsLeftBehind(t *testing.T, client *redis.Client) {
	now := time.Now()
	r := newRig(t, client, func(c *Config) { c.Now = func() time.Time { return now } })
	ctx := t.Context()
	a := r.account(100_000)
	o := r.organisation(Budget{MonthNano: 90_000}, a)
	w := r.steward(o.org.ID)
	look := func() {
		t.Helper()
		o.due()
		now = now.Add(defaultReapGrace)
		r.must(w.look(ctx))
	}
	spent := int64(0)
	check := func(name string, captured int64) {
		t.Helper()
		if spent += captured; o.spent().MonthNano != spent {
			t.Fatalf("%s: %d spent, want %d", name, o.spent().MonthNano, spent)
		}
	}

	o.call(a, "settled", 500, false)
	look()
	check("its hold says what was captured", 500)

	o.call(a, "forgotten", 600, false)
	r.must(client.Del(ctx, HoldKey(a, "forgotten")).Err())
	look()
	look()
	check("the ledger does not have it yet", 600)
	if n := client.ZCard(ctx, ClaimsKey(o.org.ID)).Val(); n != 1 {
		t.Fatalf("%d claims wait", n)
	}
	r.drainAll()
	look()
	check("the ledger has it", 0)

	_, err := o.claim(a, "released", 700, 700)
	r.must(err)
	r.reserve(a, "released", 700)
	look()
	check("a call that lives", 700)
	r.must(r.desk.Holds.Release(ctx, a, "released"))
	look()
	check("a call that did not happen", -700)

	_, err = o.claim(a, "never-held", 800, 800)
	r.must(err)
	look()
	check("looked at once", 800)
	look()
	check("a hold that never came to be", -800)

	late := settlement(a, "late", 900)
	_, err = o.claim(a, "late", 900, 900)
	r.must(err)
	_, err = r.desk.Holds.Settle(ctx, late) // Redis has lost its hold
	r.must(err)
	look()
	look()
	check("a debit is to come", 900)
	r.must(r.owners[shardOf(a)].relayDebits(ctx))
	r.drainAll()
	r.must(r.owners[shardOf(a)].relayDebits(ctx))
	look()
	check("the debit was taken", 0)

	_, err = o.claim(a, "closed", 1000, 1000)
	r.must(err)
	epoch := client.GetDel(ctx, EpochKey(a)).Val()
	if shardOf(a) != shardOf(o.org.ID) {
		look()
		look()
		check("of a closed shard nothing is said", 1000)
	} else {
		spent += 1000
	}
	r.must(client.Set(ctx, EpochKey(a), epoch, 0).Err())
	look()
	look()
	check("when it is open again", -1000)
	if n := client.ZCard(ctx, ClaimsKey(o.org.ID)).Val(); n != 0 {
		t.Fatalf("%d claims are left", n)
	}
	r.drainAll()
	r.wantBooks(context.WithoutCancel(ctx))
}
