package billing

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
)

// An address is in a network by its bits exactly where netip says so.
func TestAddressBits(t *testing.T) {
	address := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 4, 4), func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)).Unmap() }),
	)
	rapid.Check(t, func(t *rapid.T) {
		a := address.Draw(t, "address")
		b := a // near it, so that some are inside
		if rapid.Bool().Draw(t, "another") {
			b = address.Draw(t, "of the network")
		}
		n, err := b.Prefix(rapid.IntRange(0, b.BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParseNetwork(n.String())
		if err != nil || parsed != n {
			t.Fatalf("%s came back as %s, %v", n, parsed, err)
		}
		packed := Restrictions{Networks: []netip.Prefix{n}}.packed()
		bits := packed[strings.LastIndexByte(packed, '|')+1:]
		if got := strings.HasPrefix(AddressBits(a), bits); got != n.Contains(a) {
			t.Fatalf("%s in %s: %t by bits %s", a, n, got, bits)
		}
	})
	for text, want := range map[string]string{"10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0"} {
		if n, err := ParseNetwork(text); err != nil || n.String() != want {
			t.Errorf("%s is %s, %v", text, n, err)
		}
	}
	if AddressBits(netip.Addr{}) != "" || AddressBits(netip.MustParseAddr("::ffff:1.2.3.4")) != AddressBits(netip.MustParseAddr("1.2.3.4")) {
		t.Error("an address has two forms")
	}
}

// A key's restrictions are what Redis says they are after each change, a rebuild, and
// words that come late; reconcile sees where they are not.
func TestKeyRestrictions(t *testing.T) { onBoth(t, testKeyRestrictions) }

func testKeyRestrictions(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	keys, ctx := r.desk.Keys, t.Context()
	account := r.account(100)
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	key, token, err := keys.Create(ctx, KeySpec{AccountID: account, Restrictions: Restrictions{
		Models: []string{"b", "a*", "b"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("8000::/1")}, ExpiresAt: end.Add(999)}})
	r.must(err)
	presented, err := keys.Parse(token)
	r.must(err)
	name := KeyKey(account, presented.Locator[0])
	want := func(status, only string) {
		t.Helper()
		if got := client.HMGet(ctx, name, KeyFieldStatus, KeyFieldOnly).Val(); got[0] != status || only != "" && got[1] != only || only == "" && got[1] != nil {
			t.Errorf("the record says %v, want %s %s", got, status, only)
		}
	}
	whole := decimal(end.UnixMilli()) + "|a*,b|400001010,61"
	want(StatusRestricted, whole)
	found, err := keys.FindToken(ctx, token)
	r.must(err)
	if diff := cmp.Diff(key.Restrictions, found.Restrictions, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Error(diff)
	}

	open, never := []string{}, time.Time{}
	anywhere := []netip.Prefix{}
	_, err = keys.Change(ctx, account, key.ID, KeyChange{Models: &open, ExpiresAt: &never}, House)
	r.must(err)
	want(StatusRestricted, "0||400001010,61")
	rows, err := r.pool.Query(ctx, `select `+keyFields+` from api_keys k where id = $1`, key.ID)
	r.must(err)
	stale, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[keyRecord])
	r.must(err)
	_, err = keys.Change(ctx, account, key.ID, KeyChange{Networks: &anywhere}, House)
	r.must(err)
	want(StatusActive, "")
	r.must(r.engine.projector.key(ctx, stale))
	want(StatusActive, "")
	_, err = keys.Change(ctx, account, key.ID, KeyChange{Models: &[]string{"a*", "b"}, ExpiresAt: &end, Networks: &key.Networks}, House)
	r.must(err)
	want(StatusRestricted, whole)
	r.redis.Del(ctx, EpochKey(account))
	r.must(r.owners[shardOf(account)].open(ctx))
	want(StatusRestricted, whole)

	past := time.Now().Add(-time.Minute)
	for _, bad := range []KeyChange{{Models: &[]string{"*"}}, {ExpiresAt: &past}, {Networks: &[]netip.Prefix{{}}}, {Networks: &[]netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 8)}}} {
		var fault *RestrictionError
		if _, err := keys.Change(ctx, account, key.ID, bad, House); !errors.As(err, &fault) || fault.Field == "" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	want(StatusRestricted, whole)
	other := r.account(0)
	if _, err := keys.Change(ctx, other, key.ID, KeyChange{Models: &open}, House); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("another account changes it: %v", err)
	}

	for field, value := range map[string]any{KeyFieldStatus: StatusActive, KeyFieldOnly: "0||"} {
		was := client.HGet(ctx, name, field).Val()
		r.must(client.HSet(ctx, name, field, value).Err())
		var found []Discrepancy
		_, err := NewReconciler(ReconcilerOptions{Redis: r.redis, Postgres: r.pool}).Run(ctx, Scope{}, func(d Discrepancy) { found = append(found, d) })
		r.must(err)
		if len(found) != 1 || found[0].What != AboutKey || found[0].KeyID != key.ID {
			t.Errorf("with another %s: %+v", field, found)
		}
		r.must(client.HSet(ctx, name, field, was).Err())
	}
	r.must(keys.Revoke(ctx, account, key.ID, House))
	if _, err := keys.Change(ctx, account, key.ID, KeyChange{Models: &open}, House); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("a revoked key is changed: %v", err)
	}
}

// The ledger notes when a key was used, at most once a minute, and by that changes nothing
// that Redis is told.
func TestKeyLastUsed(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	b := r.budgeted(1000, KeySpec{})
	owner := r.owners[shardOf(b.account)]
	used := func() (at time.Time, version string) {
		t.Helper()
		keys, err := r.desk.Keys.Used(ctx, KeyQuery{AccountID: b.account, KeyID: b.key.ID})
		r.must(err)
		r.must(r.pool.QueryRow(ctx, `select xmin::text || ' ' || seq from api_keys where id = $1`, b.key.ID).Scan(&version))
		return keys[0].LastUsedAt, version
	}
	if at, _ := used(); !at.IsZero() {
		t.Fatalf("a new key was used %s", at)
	}
	settle := func(hold string, at time.Time) {
		t.Helper()
		r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(owner.shard), ID: decimal(at.UnixMilli()) + "-1", Values: []any{"t", "settle", "e", owner.at.epoch,
			"h", hold, "a", b.account, "k", b.key.ID, "c", 1, "w", 0, "d", "{}"}}).Err())
		_, err := owner.drain(ctx)
		r.must(err)
	}
	begun := time.Now().Add(time.Minute).Truncate(time.Millisecond)
	settle("one", begun)
	first, version := used()
	if !first.Equal(begun) {
		t.Errorf("last used %s, and it was %s", first, begun)
	}
	settle("two", begun.Add(59*time.Second))
	if at, now := used(); !at.Equal(begun) || now != version {
		t.Errorf("used again within the minute: %s, row %s and then %s", at, version, now)
	}
	settle("three", begun.Add(61*time.Second))
	if at, _ := used(); !at.Equal(begun.Add(61 * time.Second)) {
		t.Errorf("after the minute: %s", at)
	}
	if seq := r.count(`select seq from api_keys where id = $1`, b.key.ID); seq != 0 {
		t.Errorf("use counts as %d changes", seq)
	}
}
