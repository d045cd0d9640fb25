package billing

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// later makes Postgres believe that all projections are older than they are.
func (r *rig) later(d time.Duration) {
	r.t.Helper()
	for _, table := range []string{"accounts", "credits", "api_keys"} {
		_, err := r.pool.Exec(r.t.Context(), `update `+table+` set projected_at = projected_at - $1::interval`, d)
		r.must(err)
	}
}

func (r *rig) relayAll() {
	r.t.Helper()
	for _, o := range r.owners {
		r.must(o.relay(r.t.Context()))
	}
}

// unprojected does what Open and the others do and dies before Redis hears of it.
func (r *rig) unprojected(do func(*Desk)) {
	r.t.Helper()
	config := r.config
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer away.Close()
	config.Redis = away
	desk, err := New(config)
	r.must(err)
	do(desk)
}

func TestRelay(t *testing.T) { onBoth(t, testRelay) }

func testRelay(t *testing.T, client *redis.Client) {
	r := newRig(t, client, welcoming(500))
	ctx := t.Context()
	var account int64
	var key Key
	var token string
	r.unprojected(func(desk *Desk) {
		made, created, err := desk.Accounts.Open(ctx, Profile{TelegramID: 9})
		if err != nil || !created || made.Available != 500 {
			t.Fatalf("open without Redis: %+v, %v, %v", made, created, err)
		}
		account = made.ID
		for _, k := range []string{"a", "b"} {
			_, err := desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 100, Kind: CreditStars, IdempotencyKey: k})
			r.must(err)
		}
		key, token, err = desk.Keys.Create(ctx, KeySpec{AccountID: account})
		r.must(err)
	})
	if again, created, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: 9}); err != nil || created || again.Available != 700 {
		t.Fatalf("opened again before the relay: %+v, %v, %v", again, created, err)
	}
	r.relayAll()
	r.wantBalance(account, 700, 0)
	presented, err := r.desk.Keys.Parse(token)
	r.must(err)
	record := KeyKey(account, presented.Locator[0])
	if client.Exists(ctx, record).Val() != 1 {
		t.Fatal("the key was not relayed")
	}
	r.unprojected(func(desk *Desk) {
		if desk.Keys.Revoke(ctx, account, key.ID, House) == nil {
			t.Fatal("a revocation that is not in force looks like one")
		}
	})
	r.relayAll()
	if client.Exists(ctx, record).Val() != 0 {
		t.Fatal("the revocation was not relayed")
	}
	r.spend(account, "x", 700)
	r.relayAll()
	r.wantBalance(account, 0, 0)
	r.drainAll()
	r.wantBooks(ctx)
}

// What was projected is projected once more when it must have reached the disk;
// what Redis forgot in between comes back.
func TestRelayConfirms(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(100)
	key, token, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account})
	r.must(err)
	presented, err := r.desk.Keys.Parse(token)
	r.must(err)
	record := KeyKey(account, presented.Locator[0])
	before := r.redis.Dump(ctx, AcctKey(account)).Val()
	recordBefore := r.redis.Dump(ctx, record).Val()
	r.credit(account, 50, "late")
	r.must(r.desk.Keys.Revoke(ctx, account, key.ID, House))
	r.must(r.redis.RestoreReplace(ctx, AcctKey(account), 0, before).Err())
	r.must(r.redis.RestoreReplace(ctx, record, 0, recordBefore).Err())
	r.relayAll()
	r.wantBalance(account, 100, 0) // not yet: the first projection is too young
	r.later(confirmAfter)
	r.relayAll()
	r.wantBalance(account, 150, 0)
	if r.redis.Exists(ctx, record).Val() != 0 {
		t.Fatal("a revoked key came back")
	}
	if n := r.count(`select count(*) from credits where not confirmed`) + r.count(`select count(*) from api_keys where not confirmed`); n != 0 {
		t.Fatalf("%d left to confirm", n)
	}
}
