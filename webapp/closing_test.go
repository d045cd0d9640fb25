package webapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// meteredTransport counts what is read from its connections.
type meteredTransport struct{ read atomic.Int64 }

type meteredConn struct {
	net.Conn

	read *atomic.Int64
}

func (c meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (m *meteredTransport) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return meteredConn{conn, &m.read}, err
	}}
}

// A socket ends with what it speaks for: the key that is revoked, the account that is
// banned or closed, the session whose time is over.
func TestLiveEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	key, _, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account})
	r.must(err)
	kept, _, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account})
	r.must(err)
	ofKey, ofOther := r.connect(account, key.ID, ""), r.connect(account, kept.ID, "")
	ofKey.until("the balance", ofType(eventBalance))
	ofOther.until("the balance", ofType(eventBalance))
	r.must(r.desk.Keys.Revoke(t.Context(), account, key.ID, billing.House))
	if code := ofKey.closed(); code != closeUnauthorized {
		t.Errorf("a revoked key's socket: %d", code)
	}
	ofOther.until("word of the key", ofType(eventKey))
	_, err = r.desk.Accounts.Ban(t.Context(), r.people, billing.House)
	r.must(err)
	if code := ofOther.closed(); code != closeUnauthorized {
		t.Errorf("a banned account's socket: %d", code)
	}
	left := r.account()
	c := r.connect(left, 0, "")
	c.until("the balance", ofType(eventBalance))
	r.must(r.desk.Accounts.Close(t.Context(), left, billing.House))
	if code := c.closed(); code != closeUnauthorized {
		t.Errorf("a closed account's socket: %d", code)
	}
}

// A session's socket ends with it, unless the client says in time that it has another; of
// another account it may not have one.
func TestLiveSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account, other := r.account(), r.account()
	token := func(account int64, life time.Duration) string {
		return fmt.Sprintf("%d.0.%d", account, time.Now().Add(life).UnixMilli())
	}
	short, long := r.dial(), r.dial()
	short.auth(token(account, time.Second), "")
	long.auth(token(account, time.Second), "")
	long.auth(token(account, time.Hour), "")
	if code := short.closed(); code != closeUnauthorized {
		t.Errorf("a session that ended: %d", code)
	}
	r.call(account, 0, dollar)
	long.until("the balance", balanceOf(9*dollar))
	long.auth(token(other, time.Hour), "")
	if code := long.closed(); code != closeUnauthorized {
		t.Errorf("another's session: %d", code)
	}
	refused := r.dial()
	refused.auth(token(account, time.Hour), "")
	refused.until("the balance", ofType(eventBalance))
	refused.auth("forged", "")
	if code := refused.closed(); code != closeUnauthorized {
		t.Errorf("a forged token: %d", code)
	}
}

// Who does not say who it is, says it wrongly, says too much, or comes too often is shown out.
func TestLiveRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *LiveOptions) { o.AuthIn, o.PerAccount, o.Most = 2*time.Second, 2, 20 })
	account := r.account()
	silent := r.dial()
	for text, want := range map[string]websocket.StatusCode{
		`{"type":"auth","token":"forged"}`: closeUnauthorized,
		`{"type":"auth"}`:                  closeUnauthorized,
		`{"type":"hello"}`:                 closeUnauthorized,
		`[`:                                closeUnauthorized,
		`{"type":"auth","token":"away"}`:   closeLater,
		strings.Repeat("x", messageMost+1): websocket.StatusMessageTooBig,
	} {
		c := r.dial()
		c.say(text)
		if code := c.closed(); code != want {
			t.Errorf("after %.40q: %d, want %d", text, code, want)
		}
	}
	if code := silent.closed(); code != -1 && code != closeUnauthorized {
		t.Errorf("a silent one: %d", code)
	}
	one, two := r.connect(account, 0, ""), r.connect(account, 0, "")
	one.until("the balance", ofType(eventBalance))
	two.until("the balance", ofType(eventBalance))
	if code := r.connect(account, 0, "").closed(); code != closeTooMany {
		t.Errorf("a third one: %d", code)
	}
	for range repliesMost + 1 {
		if one.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"hello"}`)) != nil {
			break
		}
	}
	if code := one.closed(); code != closePolicy {
		t.Errorf("one that talks: %d", code)
	}
	testenv.Until(r.t, "the place is free", func() bool {
		c := r.dial()
		c.auth(fmt.Sprintf("%d.0.0", account), "")
		_, _, err := c.frame()
		return err == nil
	})
	plain, err := http.Get(r.url)
	r.must(err)
	_ = plain.Body.Close()
	if plain.StatusCode != http.StatusUpgradeRequired || plain.Header.Get("Upgrade") != "websocket" {
		t.Errorf("no WebSocket: %d, %q", plain.StatusCode, plain.Header.Get("Upgrade"))
	}
	for range 20 {
		if _, response, err := websocket.Dial(t.Context(), r.url, nil); err != nil {
			if response == nil || response.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a full house: %v %v", response, err)
			}
			return
		}
	}
	t.Error("more sockets than may be")
}

// A client that does not read is cut off, and nobody else waits for it.
func TestLiveSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	quick := r.connect(account, 0, "")
	quick.until("the balance", ofType(eventBalance))
	own := r.onlySocket(account)
	slow := r.connect(account, 0, "") // reads nothing
	testenv.Until(r.t, "both are there", func() bool { return r.live.count() == 2 })
	var s *socket
	testenv.Until(r.t, "the slow one is told", func() bool {
		r.live.mu.Lock()
		defer r.live.mu.Unlock()
		for one := range r.live.accounts[account].sockets {
			if one != own && one.greeted {
				s = one
			}
		}
		return s != nil
	})
	page, err := json.Marshal(strings.Repeat("x", 16<<10))
	r.must(err)
	for i := 0; s.push(page); i++ {
		if i > 1<<20 {
			t.Fatal("a client that reads nothing is sent more and more")
		}
	}
	testenv.Until(r.t, "the slow one is gone", func() bool { return r.live.count() == 1 })
	r.call(account, 0, dollar)
	quick.until("the balance", balanceOf(9*dollar))
	_ = slow
}

// onlySocket is the one socket of an account.
func (r *rig) onlySocket(account int64) (s *socket) {
	r.live.mu.Lock()
	defer r.live.mu.Unlock()
	for s = range r.live.accounts[account].sockets {
		break
	}
	return s
}

// When the program stops, sockets are told to come back, and none is taken any more.
func TestLiveStops(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	c, mute := r.connect(account, 0, ""), r.dial()
	c.until("the balance", ofType(eventBalance))
	r.stop()
	if code := c.closed(); code != closeAway {
		t.Errorf("closed with %d", code)
	}
	_, _, err := mute.frame()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that said nothing: %v", err)
	}
	if _, response, err := websocket.Dial(t.Context(), r.url, nil); err == nil || response != nil && response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %v %v", response, err)
	}
}

// What a client sends with its handshake, before it was answered, is not lost.
func TestLiveEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/live"))
	r.must(err)
	defer conn.Close()
	text := fmt.Sprintf(`{"type":"auth","token":"%d.0.0"}`, account)
	framed := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...) // masked with zeroes
	_, err = conn.Write(append([]byte("GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"), framed...))
	r.must(err)
	r.must(conn.SetReadDeadline(time.Now().Add(patience)))
	var all strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(all.String(), eventBalance) {
		n, err := conn.Read(buffer)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			t.Fatalf("%v after %q", err, all.String())
		}
		all.Write(buffer[:n])
	}
	if !strings.HasPrefix(all.String(), "HTTP/1.1 101 Switching Protocols\r\n") {
		t.Errorf("answered %q", all.String())
	}
}
