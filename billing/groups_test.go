package billing

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// group is an account that pays for a group.
func (r *rig) group(account, chat, dayNano int64) budgeted {
	r.t.Helper()
	r.must(r.desk.Keys.PayForGroup(r.t.Context(), GroupOffer{AccountID: account, Chat: chat, Title: "Friends", DayNano: dayNano}))
	p, err := r.desk.Keys.GroupPayer(r.t.Context(), chat)
	r.must(err)
	if p.AccountID != account || p.Chat != chat || p.DayNano != dayNano || p.Title != "Friends" || p.Name != "Kiku" || p.Since.IsZero() {
		r.t.Fatalf("the payer is %+v", p)
	}
	key, err := r.desk.Keys.Find(r.t.Context(), p.KeyID)
	r.must(err)
	return budgeted{rig: r, account: account, key: key, locator: r.desk.Keys.OfGroup(account, key.ID).Locator[0]}
}

// TestGroupPayer: one account pays for a group, up to its cap and not a nano more; the cap
// can be changed, and whatever ends the key ends the paying.
func TestGroupPayer(t *testing.T) {
	client := testenv.Redis(t)
	r := newRig(t, client)
	keys, ctx := r.desk.Keys, t.Context()
	account, other := r.account(1_000*NanoPerUSD), r.account(0)
	if _, err := keys.GroupPayer(ctx, -7); !errors.Is(err, ErrGroupUnpaid) {
		t.Fatalf("nobody offered: %v", err)
	}
	for _, nano := range []int64{0, -1, GroupCapLeast - 1, GroupCapMost + 1} {
		if err := keys.PayForGroup(ctx, GroupOffer{AccountID: account, Chat: -7, DayNano: nano}); !errors.Is(err, ErrAmount) {
			t.Errorf("a cap of %d: %v", nano, err)
		}
	}
	b := r.group(account, -7, NanoPerUSD)
	b.take(b.ask("one", NanoPerUSD/2, NanoPerUSD/2))
	var budget *BudgetError
	if _, err := r.desk.Holds.Reserve(ctx, b.ask("two", NanoPerUSD/2+1, NanoPerUSD/2+1)); !errors.As(err, &budget) || budget.Scope != BudgetKey || budget.Period != BudgetDay {
		t.Errorf("above the cap: %v", err)
	}
	if spent, err := keys.SpentToday(ctx, account, b.key.ID); err != nil || spent != NanoPerUSD/2 {
		t.Errorf("spent %d, %v", spent, err)
	}
	b.pay(b.ask("one", NanoPerUSD/2, 0), 100)
	if spent, err := keys.SpentToday(ctx, account, b.key.ID); err != nil || spent != 100 {
		t.Errorf("spent %d afterwards, %v", spent, err)
	}
	if err := keys.PayForGroup(ctx, GroupOffer{AccountID: other, Chat: -7, DayNano: NanoPerUSD}); !errors.Is(err, ErrGroupPaid) {
		t.Errorf("a second payer: %v", err)
	}
	if again := r.group(account, -7, 2*NanoPerUSD); again.key.ID != b.key.ID {
		t.Errorf("another cap is another key, %d", again.key.ID)
	}
	b.take(b.ask("three", NanoPerUSD*3/2, NanoPerUSD*3/2))

	free := int64(0)
	if _, err := keys.Change(ctx, account, b.key.ID, KeyChange{BudgetDay: &free}, OfAccount(account)); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("the cap is changed as a key's budget: %v", err)
	}
	ended, err := keys.EndGroup(ctx, -7, House)
	if err != nil || ended.KeyID != b.key.ID {
		t.Errorf("ended %+v, %v", ended, err)
	}
	if client.Exists(ctx, KeyKey(account, b.locator)).Val() != 0 {
		t.Error("the key is usable afterwards")
	}
	if _, err := keys.EndGroup(ctx, -7, House); !errors.Is(err, ErrGroupUnpaid) {
		t.Errorf("ended twice: %v", err)
	}
	if next := r.group(other, -7, NanoPerUSD); next.key.ID == b.key.ID {
		t.Error("another payer has the same key")
	}
	r.must(r.desk.Accounts.Close(ctx, other, House))
	if _, err := keys.GroupPayer(ctx, -7); !errors.Is(err, ErrGroupUnpaid) {
		t.Errorf("who left pays: %v", err)
	}
	if n := r.count(`select count(*) from api_keys where account_id = $1 and chat_id is not null`, other); n != 0 {
		t.Error("the group of who left is kept")
	}
	if err := keys.PayForGroup(ctx, GroupOffer{AccountID: other, Chat: -8, DayNano: NanoPerUSD}); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("who left offers: %v", err)
	}
}

// TestGroupKeyIsNobodys: no text is a group's key, whatever it is made of.
func TestGroupKeyIsNobodys(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	b := r.group(r.account(0), -7, NanoPerUSD)
	own := r.desk.Keys.OfGroup(b.account, b.key.ID)
	if b.key.Hint != groupHint || b.key.Chat != -7 || !own.Verify(0, r.redis.HGet(t.Context(), KeyKey(b.account, b.locator), KeyFieldMAC).Val()) {
		t.Errorf("%+v", b.key)
	}
	if _, err := r.desk.Keys.Parse("group:1"); !errors.Is(err, ErrKeyMalformed) {
		t.Errorf("it can be presented: %v", err)
	}
}

// TestGroupBounds: an account pays for so many groups, which take no key's place.
func TestGroupBounds(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx, account := t.Context(), r.account(0)
	for chat := range int64(GroupsMost) {
		r.group(account, -1-chat, GroupCapLeast)
	}
	if err := r.desk.Keys.PayForGroup(ctx, GroupOffer{AccountID: account, Chat: -100, DayNano: NanoPerUSD}); !errors.Is(err, ErrGroupLimit) {
		t.Errorf("one more: %v", err)
	}
	r.group(account, -1, GroupCapMost) // which it paid for before
	groups, err := r.desk.Keys.GroupsOf(ctx, account)
	if err != nil || len(groups) != GroupsMost || groups[0].Chat != -1 || groups[0].DayNano != GroupCapMost {
		t.Errorf("%d groups, %v", len(groups), err)
	}
	r.forge(`insert into api_keys (account_id, name, locator, mac, pepper_version, hint, created_at)
		select $1, '', md5('a' || n), md5('b' || n), '', '', now() - interval '2 days' from generate_series(1, $2) n`, account, MaxKeys-1)
	if _, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account}); err != nil {
		t.Errorf("the last key: %v", err)
	}
}

// TestGroupMoves: a group's new id has its payer, once or told again; who offered there
// first stays.
func TestGroupMoves(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	keys, ctx := r.desk.Keys, t.Context()
	first, second := r.group(r.account(0), -7, NanoPerUSD), r.account(0)
	for range 2 {
		r.must(keys.MoveGroup(ctx, -7, -1007))
		if p, err := keys.GroupPayer(ctx, -1007); err != nil || p.KeyID != first.key.ID {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if _, err := keys.GroupPayer(ctx, -7); !errors.Is(err, ErrGroupUnpaid) {
		t.Errorf("left behind: %v", err)
	}
	r.group(second, -8, NanoPerUSD)
	r.must(keys.MoveGroup(ctx, -8, -1007))
	if p, err := keys.GroupPayer(ctx, -1007); err != nil || p.KeyID != first.key.ID {
		t.Errorf("%+v, %v", p, err)
	}
	if groups, err := keys.GroupsOf(ctx, second); err != nil || len(groups) != 0 {
		t.Errorf("%+v, %v", groups, err)
	}
}

// TestGroupRace: of two that offer at once, the first to commit pays.
func TestGroupRace(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	keys, ctx := r.desk.Keys, t.Context()
	first, second := r.account(0), r.account(0)
	tx, err := r.pool.Begin(ctx)
	r.must(err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := keys.offer(ctx, tx, GroupOffer{AccountID: first, Chat: -7, DayNano: NanoPerUSD}); err != nil {
		t.Fatal(err)
	}
	offered := make(chan error, 1)
	go func() { offered <- keys.PayForGroup(ctx, GroupOffer{AccountID: second, Chat: -7, DayNano: NanoPerUSD}) }()
	waits := func() bool { // for the first to commit
		return r.count(`select count(*) from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()`) > 0
	}
	for deadline := time.Now().Add(20 * time.Second); !waits(); time.Sleep(5 * time.Millisecond) {
		if len(offered) > 0 || time.Now().After(deadline) {
			t.Fatal("the second does not wait for the first")
		}
	}
	r.must(tx.Commit(ctx))
	if err := <-offered; !errors.Is(err, ErrGroupPaid) {
		t.Errorf("the second: %v", err)
	}
	if p, err := keys.GroupPayer(ctx, -7); err != nil || p.AccountID != first {
		t.Errorf("%+v, %v", p, err)
	}
}
