package billing

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.Int64Range(1, maxAccount).Draw(t, "account")
		token := mintToken(account)
		if got, err := accountOf(token); err != nil || got != account {
			t.Fatalf("%d came back as %d, %v", account, got, err)
		}
		// Any one character changed is noticed.
		i := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte(base62+"_- ")).Draw(t, "char")
		if changed := token[:i] + string(c) + token[i+1:]; changed != token {
			if _, err := accountOf(changed); !errors.Is(err, ErrKeyMalformed) {
				t.Fatalf("%d changed to %q passes", i, c)
			}
		}
	})
}

func TestTokenForm(t *testing.T) {
	token := mintToken(7)
	parts := strings.Split(token, "_")
	if len(parts) != 4 || parts[0] != "kk" || parts[1] != "7" || len(parts[2]) != 43 || len(parts[3]) != 6 {
		t.Fatalf("a key of %d parts", len(parts))
	}
	if hint := hintOf(7, token); hint != "kk_7_…"+token[len(token)-4:] {
		t.Errorf("hint %q", hint)
	}
	resealed := func(body string) string { return body + "_" + checksum(body) }
	for _, bad := range []string{"", "kk_", "sk-abc", token + "x", token[1:], strings.Repeat("k", 10_000),
		resealed("kk_07_" + parts[2]), resealed("kk_-7_" + parts[2]), resealed("kk_+7_" + parts[2]), resealed("kk_0_" + parts[2]),
		resealed("kk_99999999999999999999_" + parts[2]), resealed("kk_7_" + parts[2][:42] + "!"), resealed("kk__" + parts[2]),
		resealed("kk_7_" + parts[2][:42] + "\x00"), resealed("kk_4503599627370496_" + parts[2])} {
		if _, err := accountOf(bad); !errors.Is(err, ErrKeyMalformed) {
			t.Errorf("%.60q passes", bad)
		}
	}
	if _, err := accountOf(resealed("kk_7_" + parts[2])); err != nil {
		t.Errorf("the resealed key itself: %v", err)
	}
}

func TestKeyLife(t *testing.T) { onBoth(t, testKeyLife) }

func testKeyLife(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	keys, ctx := r.desk.Keys, t.Context()
	account := r.account(0)

	key, token, err := keys.Create(ctx, KeySpec{AccountID: account, Name: "laptop\x00 \xff", Limits: Limits{RequestsPerMinute: 30, TokensPerMinute: 9, Concurrency: 2, RefillMilli: 1500, Burst: MaxLimit}})
	r.must(err)
	presented, err := keys.Parse(token)
	r.must(err)
	record := client.HGetAll(ctx, KeyKey(account, presented.Locator[0])).Val()
	if presented.Account != account || !presented.Verify(0, record[KeyFieldMAC]) || record[KeyFieldLimits] != "30|9|2|1500|2147483647" ||
		record[KeyFieldStatus] != StatusActive || record[KeyFieldName] != "laptop �" {
		t.Fatalf("%+v has record %v", presented, record)
	}
	if presented.Verify(1, record[KeyFieldMAC]) || presented.Verify(-1, "") || presented.Verify(0, "") || presented.Verify(0, presented.Locator[0]) {
		t.Fatal("a wrong mac passes")
	}
	secret := strings.Split(token, "_")[2]
	for table := range map[string]bool{"api_keys": true, "accounts": true} {
		var dump string
		r.must(r.pool.QueryRow(ctx, `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`).Scan(&dump))
		if strings.Contains(dump, secret) || strings.Contains(dump, token) {
			t.Fatalf("the secret is in %s", table)
		}
	}

	other := r.account(0)
	if err := keys.Revoke(ctx, other, key.ID, House); !errors.Is(err, ErrKeyUnknown) {
		t.Fatalf("another account revokes: %v", err)
	}
	for range 2 {
		r.must(keys.Revoke(ctx, account, key.ID, House))
		if client.Exists(ctx, KeyKey(account, presented.Locator[0])).Val() != 0 {
			t.Fatal("a revoked key has a record")
		}
	}
	// A projection that was read before the revocation arrives after it.
	stale := keyRecord{ID: key.ID, AccountID: account, Locator: presented.Locator[0], MAC: presented.Mac[0], Name: "laptop"}
	r.must(r.engine.projector.key(ctx, stale))
	if client.Exists(ctx, KeyKey(account, presented.Locator[0])).Val() != 0 {
		t.Fatal("a late projection revived a revoked key")
	}
	listed, err := keys.List(ctx, account)
	if err != nil || len(listed) != 1 || listed[0].RevokedAt.IsZero() || listed[0].Hint != key.Hint {
		t.Fatalf("listed %+v, %v", listed, err)
	}
	if _, _, err := keys.Create(ctx, KeySpec{AccountID: 999_999}); !errors.Is(err, ErrAccountUnknown) {
		t.Fatalf("a key for nobody: %v", err)
	}
}

func TestKeyLimit(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(0)
	for range MaxKeys {
		_, _, err := r.desk.Keys.Create(t.Context(), KeySpec{AccountID: account})
		r.must(err)
	}
	if _, _, err := r.desk.Keys.Create(t.Context(), KeySpec{AccountID: account}); !errors.Is(err, ErrKeyLimit) {
		t.Fatalf("key %d: %v", MaxKeys+1, err)
	}
}

// A key made under the old pepper works while that pepper is kept, and only then.
func TestPepperRotation(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(0)
	_, token, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account})
	r.must(err)
	find := func(peppers ...string) (index int, presented PresentedKey, mac string) {
		config := r.config
		config.Peppers = peppers
		desk, err := New(config)
		r.must(err)
		presented, err = desk.Keys.Parse(token)
		r.must(err)
		for i, locator := range presented.Locator {
			if mac := r.redis.HGet(ctx, KeyKey(account, locator), KeyFieldMAC).Val(); mac != "" {
				return i, presented, mac
			}
		}
		return -1, presented, ""
	}
	if i, p, mac := find("a newer pepper, as long", testPepper); i != 1 || !p.Verify(i, mac) || p.Verify(0, mac) {
		t.Errorf("under the second pepper: found at %d", i)
	}
	if i, _, _ := find("a newer pepper, as long"); i != -1 {
		t.Errorf("without its pepper: found at %d", i)
	}
	counted := func(found, lost int64, peppers ...string) {
		t.Helper()
		config := r.config
		config.Peppers = peppers
		desk, err := New(config)
		r.must(err)
		if p, err := desk.Keys.Peppered(ctx); err != nil || p != (Peppered{found, lost}) {
			t.Errorf("under %d peppers: %+v, %v", len(peppers), p, err)
		}
	}
	counted(1, 0, "a newer pepper, as long", testPepper)
	counted(0, 1, "a newer pepper, as long")
	r.forge(`update api_keys set revoked_at = now()`)
	counted(0, 0, "a newer pepper, as long")
	for _, bad := range [][]string{nil, {""}, {testPepper, ""}} {
		config := r.config
		config.Peppers = bad
		if _, err := New(config); err == nil {
			t.Errorf("peppers %q pass", bad)
		}
	}
}
