package billing

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// chatCall is what a chat's call asks for, under the name of its update or a further one.
func chatCall(account int64, id string, nano int64) Reservation {
	return Reservation{HoldID: id, AccountID: account, Want: nano, Least: nano, Fingerprint: SourceTelegram, Life: time.Minute}
}

func (r *rig) chat(account int64, id string, nano int64) {
	r.t.Helper()
	_, err := r.desk.Holds.Reserve(r.t.Context(), chatCall(account, id, nano))
	r.must(err)
	r.settleChat(account, id, nano)
}

func (r *rig) settleChat(account int64, id string, nano int64) Captured {
	r.t.Helper()
	s := settlement(account, id, nano)
	s.KeyID, s.Source = 0, SourceTelegram
	captured, err := r.desk.Holds.Settle(r.t.Context(), s)
	r.must(err)
	return captured
}

// wantState asks for a hold that must have been resolved.
func (r *rig) wantState(account int64, id, state string, nano int64) {
	r.t.Helper()
	hold, err := r.desk.Holds.Reserve(r.t.Context(), chatCall(account, id, 1))
	r.must(err)
	if hold.State != state || hold.Nano != nano || !hold.Replayed {
		r.t.Errorf("hold %s: %+v, want it %s with %d", id, hold, state, nano)
	}
}

// A message whose update comes once more after Redis lost its data is not charged
// again: the rebuilt shard knows that its call was paid, and under which try.
func TestRebuildChats(t *testing.T) { onBoth(t, testRebuildChats) }

func testRebuildChats(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	o := r.owners[shardOf(account)]
	r.chat(account, "tg-1", 100)
	for _, given := range []string{"tg-2", "tg-2.2"} { // the provider was away, twice
		_, err := r.desk.Holds.Reserve(ctx, chatCall(account, given, 50))
		r.must(err)
		r.must(r.desk.Holds.Release(ctx, account, given))
	}
	r.chat(account, HoldOfTry("tg-2", 3), 50)
	r.chat(account, "tg-3", 30)
	r.chat(account, HoldOfTry("tg-3", 2), 0)                                       // the house's
	keyed, ofKey := chatCall(account, "tg-5", 40), settlement(account, "tg-5", 40) // in a group
	keyed.KeyID, ofKey.KeyID, ofKey.Source = 5, 5, SourceTelegram
	_, err := r.desk.Holds.Reserve(ctx, keyed)
	r.must(err)
	_, err = r.desk.Holds.Settle(ctx, ofKey)
	r.must(err)
	r.spend(account, "api-1", 20)
	r.drain(o)
	r.must(client.FlushAll(ctx).Err())
	r.must(r.newOwner(o.shard).open(ctx))
	r.must(o.open(ctx))

	r.wantBalance(account, 9760, 0)
	r.wantState(account, "tg-1", HoldSettled, 100)
	r.wantState(account, "tg-2", HoldReleased, 0)
	r.wantState(account, "tg-2.2", HoldReleased, 0)
	r.wantState(account, "tg-2.3", HoldSettled, 50)
	r.wantState(account, "tg-3", HoldSettled, 30)
	r.wantState(account, "tg-3.2", HoldSettled, 0)
	if n := client.Exists(ctx, HoldKey(account, "api-1")).Val(); n != 0 {
		t.Error("an API call's hold is back")
	}
	for _, id := range []string{"tg-1", "tg-2"} {
		if life := client.PTTL(ctx, HoldKey(account, id)).Val(); life < keepChatHold-time.Hour || life > keepChatHold {
			t.Errorf("%s lives for another %s", id, life)
		}
	}
	if hold, err := r.desk.Holds.Reserve(ctx, chatCall(account, "tg-4", 70)); err != nil || hold.State != HoldHeld {
		t.Errorf("another message: %+v, %v", hold, err)
	}
	r.must(r.desk.Holds.Release(ctx, account, "tg-4"))

	// A settlement that comes yet takes nothing; what it has beyond is written off.
	s := settlement(account, "tg-1", 130)
	s.KeyID, s.Source = 0, SourceTelegram
	var expired *HoldExpiredError
	for range 2 {
		if _, err := r.desk.Holds.Settle(ctx, s); !errors.As(err, &expired) || expired.Captured != 100 {
			t.Errorf("a settlement once more: %v", err)
		}
	}
	ofKey.Cost += 20
	if _, err := r.desk.Holds.Settle(ctx, ofKey); !errors.As(err, &expired) || expired.Captured != 40 {
		t.Errorf("a group's settlement once more: %v", err)
	}
	if entries := r.entries("late:tg-1"); !slices.Equal(entries, []string{"revenue 30", "write_off -30"}) {
		t.Errorf("what it has beyond: %v", entries)
	}
	r.wantBalance(account, 9760, 0)
	r.drain(o)
	r.wantBooks(ctx)
}

// A chat's call whose hold Redis lost was settled late and taken: its update, handled
// once more, finds it paid.
func TestLateChat(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	o := r.owners[shardOf(account)]
	if c := r.settleChat(account, "tg-9", 100); !c.Late {
		t.Fatalf("%+v", c)
	}
	r.settle(account, "api-9", 50)
	r.must(o.relayDebits(ctx))
	r.wantState(account, "tg-9", HoldSettled, 100)
	if n := r.redis.Exists(ctx, HoldKey(account, "api-9")).Val(); n != 0 {
		t.Error("an API call got a hold by its late settlement")
	}
	r.drain(o)
	r.wantBalance(account, 850, 0)
	r.wantBooks(ctx)
}

func TestHoldsBefore(t *testing.T) {
	for id, want := range map[string][]string{
		"tg-1": nil, "tg-1.2": {"tg-1"}, "tg-1.4": {"tg-1", "tg-1.2", "tg-1.3"},
		"tg-1.1": nil, "tg-1.": nil, "tg-1.x": nil, "tg-1.1000000": nil, "": nil,
	} {
		if got := holdsBefore(id); !slices.Equal(got, want) {
			t.Errorf("before %q: %v", id, got)
		}
	}
}
