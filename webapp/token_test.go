package webapp

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// A token opens until its end, on every instance with its pepper, and no other does: not
// one with any bit changed, cut short or drawn out.
func TestTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	old, renewed := newSeals([]string{"the first pepper"}), newSeals([]string{"the second pepper", "the first pepper"})
	token := old.mint(77, now.Add(SessionLife))
	for _, s := range []seals{old, renewed} {
		key, err := s.open(token, now.Add(SessionLife-time.Second))
		if err != nil || key.Account != 77 || len(key.Session) != 2*sessionName || !key.Until.Equal(now.Add(SessionLife)) {
			t.Fatalf("opened %+v, %v", key, err)
		}
	}
	if other := old.mint(77, now.Add(SessionLife)); other == token {
		t.Error("two sessions have one token")
	}
	refuse := func(what, token string, s seals, at time.Time) {
		t.Helper()
		if key, err := s.open(token, at); !errors.Is(err, billing.ErrSession) {
			t.Errorf("%s: %+v, %v", what, key, err)
		}
	}
	refuse("at its end", token, old, now.Add(SessionLife))
	refuse("with another pepper", token, newSeals([]string{"the third pepper"}), now)
	refuse("of a pepper that is gone", renewed.mint(77, now.Add(SessionLife)), old, now)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, tokenPrefix))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			refuse("a changed bit", tokenPrefix+base64.RawURLEncoding.EncodeToString(raw), old, now)
			raw[i] ^= 1 << bit
		}
	}
	for _, text := range []string{
		"", tokenPrefix, token[1:], token[:len(token)-1], token + "A", token + "=", strings.ToUpper(token), tokenPrefix + strings.Repeat("A", 1<<16),
	} {
		refuse("another form", text, old, now)
	}
}
