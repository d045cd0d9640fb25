package gateway

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

// countedFailures admits so many failures of each address and counts how often it is asked.
type countedFailures struct {
	most  int
	mu    sync.Mutex
	asked map[netip.Addr]int
}

func (f *countedFailures) Take(_ context.Context, address netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked = map[netip.Addr]int{}
	}
	f.asked[address]++
	if f.asked[address] > f.most {
		return &ratelimit.ExceededError{Max: int64(f.most), Window: time.Minute, RetryAfter: 30 * time.Second}
	}
	return nil
}

func (f *countedFailures) of(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[netip.MustParseAddr(address)]
}

// wrong is a key in the form of one that is none.
func (r *rig) wrong(account int64) string {
	r.t.Helper()
	key, token, err := r.desk.Keys.Create(r.t.Context(), billing.KeySpec{AccountID: account})
	r.must(err)
	r.must(r.desk.Keys.Revoke(r.t.Context(), account, key.ID, billing.House))
	return token
}

// Who tries keys is told to wait after so many failures, and from then on nobody is asked;
// whoever comes from the same address with a key that was good lately goes on.
func TestStrangersWait(t *testing.T) {
	failures := &countedFailures{most: 3}
	r := newRig(t, func(s *setup) { s.server.Failures, s.server.Proxies = failures, loopback{} })
	id, good := r.account(dollar)
	_, unseen := r.account(dollar)
	from := []string{"X-Real-IP", "203.0.113.7"}
	r.do("GET", "/api/v1/balance", good, "", from...).want(t, 200)
	for i := range 3 {
		token := r.wrong(id)
		if i == 0 {
			token = "kk_nonsense"
		}
		r.do("GET", "/api/v1/balance", token, "", from...).want(t, 401)
	}
	r.do("GET", "/api/v1/balance", r.wrong(id), "", from...).want(t, 429)
	asked := r.tap.scripts.Load()
	for _, a := range []answer{
		r.do("GET", "/v1/models", r.wrong(id), "", from...),
		r.do("POST", "/v1/chat/completions", r.wrong(id), chatBody("paid"), from...),
		r.do("POST", "/v1/chat/completions", r.wrong(id), "{", from...),
		r.do("POST", "/api/v1/payment/topup", "kk_nonsense", "{}", from...),
		r.do("GET", "/v1/models", unseen, "", from...),
	} {
		a.want(t, 429)
		if a.header.Get("Retry-After") != "30" || a.get("error.code").Str != "rate_limit_exceeded" {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	if now := r.tap.scripts.Load(); now != asked {
		t.Errorf("refusing asked Redis %d times", now-asked)
	}
	if n := failures.of("203.0.113.7"); n != 4 {
		t.Errorf("the limit was asked %d times, want 4", n)
	}
	r.chat(good, "word").want(t, 200)
	r.do("POST", "/v1/chat/completions", good, chatBody("word"), from...).want(t, 200)
	r.do("GET", "/v1/models", unseen, "", "X-Real-IP", "203.0.113.8").want(t, 200)
	r.do("GET", "/v1/models", unseen, "", from...).want(t, 200)
}

// A key that was good is a stranger's from the moment it is revoked.
func TestStrangersAreRevokedKeys(t *testing.T) {
	r := newRig(t, func(s *setup) { s.server.Failures = &countedFailures{most: 1} })
	id, token := r.account(dollar)
	r.do("GET", "/v1/models", token, "").want(t, 200)
	key, err := r.desk.Keys.FindToken(t.Context(), token)
	r.must(err)
	r.must(r.desk.Keys.Revoke(t.Context(), id, key.ID, billing.House))
	r.do("GET", "/v1/models", token, "").want(t, 401)
	r.do("GET", "/v1/models", token, "").want(t, 429)
	r.do("GET", "/v1/models", token, "").want(t, 429)
	_, fresh := r.account(dollar)
	r.do("GET", "/v1/models", fresh, "").want(t, 429)
}

// Only a proxy of ours is believed, and of IPv6 the network counts.
func TestClientAddress(t *testing.T) {
	for _, c := range []struct {
		name    string
		proxies networks
		told    string
		want    string
	}{
		{"by a proxy", loopback{}, "198.51.100.9", "198.51.100.9"},
		{"by a proxy, in IPv6's clothes", loopback{}, "::ffff:198.51.100.9", "198.51.100.9"},
		{"by a proxy, IPv6", loopback{}, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"by a proxy, with a zone", loopback{}, "fe80::1%eth0", "fe80::"},
		{"by a proxy, nothing", loopback{}, "", "127.0.0.1"},
		{"by a proxy, nonsense", loopback{}, "198.51.100.9, 10.0.0.1", "127.0.0.1"},
		{"by a stranger", nil, "198.51.100.9", "127.0.0.1"},
		{"by another network's", nobody{}, "198.51.100.9", "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			failures := &countedFailures{most: 1}
			r := newRig(t, func(s *setup) { s.server.Failures, s.server.Proxies = failures, c.proxies })
			r.do("GET", "/v1/models", "kk_nonsense", "", "X-Real-IP", c.told, "X-Forwarded-For", "192.0.2.1").want(t, 401)
			if failures.of(c.want) != 1 {
				t.Errorf("counted %v, want %s", failures.asked, c.want)
			}
		})
	}
}

type loopback struct{}

func (loopback) Contains(a netip.Addr) bool { return a.IsLoopback() }

type nobody struct{}

func (nobody) Contains(netip.Addr) bool { return false }

// What is remembered is bounded, and what was put last is there.
func TestRecentIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	r := newRecent[int, int](100, time.Minute, func() time.Time { return now })
	for i := range 1000 {
		r.put(i, i)
		if v, is := r.get(i); !is || v != i {
			t.Fatalf("%d is not there", i)
		}
		if n := len(r.young) + len(r.old); n > 100 {
			t.Fatalf("%d are remembered", n)
		}
	}
	r.keep(1)
	now = now.Add(time.Minute)
	r.keep(2)
	if _, is := r.get(1); !is {
		t.Error("forgotten before its time")
	}
	now = now.Add(time.Minute)
	r.keep(3)
	if _, is := r.get(1); is {
		t.Error("remembered for more than two lives")
	}
	r.drop(3)
	if _, is := r.get(3); is {
		t.Error("dropped and there")
	}
}
