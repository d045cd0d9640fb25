package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

// chatting is the size of a proof about people who chat while servers die.
type chatting struct {
	chats, each int
	rate        float64 // messages a second of all
	killEvery   time.Duration
	within      time.Duration
}

// chatters is a site with two servers behind a front, both running, and the eyes to judge them.
type chatters struct {
	*site
	sites  []*site
	serves []*process
	pool   *pgxpool.Pool
}

// newChatters starts two servers of a binary. Telegram's times are the real ones.
func newChatters(t *testing.T, built func() (string, error), records int) *chatters {
	t.Helper()
	s := newSiteOf(t, built, func(o *telegramsim.Options) { o.RecordLimit = records })
	s.env["WELCOME_CREDIT_USD"] = "5"
	pool, err := postgres.Open(t.Context(), s.env["DATABASE_URL"], postgres.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c := &chatters{site: s, sites: []*site{s, s.another()}, pool: pool}
	behindFront(t, c.sites...)
	for _, one := range c.sites {
		c.serves = append(c.serves, one.serve())
	}
	s.arrange("webhook", "set")
	return c
}

// behindFront lets Telegram reach the servers as a front does that asks the next one where one is not there.
func behindFront(t *testing.T, sites ...*site) {
	t.Helper()
	var hosts []string
	for _, s := range sites {
		hosts = append(hosts, strings.TrimPrefix(s.url, "http://"))
	}
	target, err := url.Parse(sites[0].url)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &net.Dialer{Timeout: time.Second}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 256,
		DialContext: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
			for _, i := range rand.Perm(len(hosts)) {
				if conn, err = dialer.DialContext(ctx, network, hosts[i]); err == nil {
					return conn, nil
				}
			}
			return nil, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:    transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(front.Close)
	for _, s := range sites {
		s.env["PUBLIC_URL"] = front.URL
	}
}

// killing ends one of the servers at random, again and again, when they have called the model a
// few times since the last, until ctx ends; it returns how often.
func (c *chatters) killing(ctx context.Context, every time.Duration) (kills int) {
	const life = 20 // calls: servers that have not come to work yet show nothing
	called := c.model.Count()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return kills
		case <-tick.C:
		}
		if c.model.Count()-called < life {
			continue
		}
		called = c.model.Count()
		i := rand.IntN(len(c.serves))
		c.serves[i].kill()
		c.serves[i].log.forget()
		kills++
		next, err := c.sites[i].start(c.sites[i].environ(), "serve")
		if err != nil {
			c.t.Error(err)
			return kills
		}
		c.serves[i] = next
	}
}

// charged counts the turns of the crowd whose ids begin there that were paid for more than once, and those that
// were at all.
func (c *chatters) charged(firstChat int64) (twice, once int) {
	c.t.Helper()
	err := c.pool.QueryRow(c.t.Context(), `select count(*) filter (where n > 1), count(*) from (
		select count(*) n from usage join accounts a on a.id = account_id
		where a.telegram_id >= $1 and a.telegram_id < $1 + 1000000 and hold_id like 'tg-%' and captured_nano > 0
		group by split_part(hold_id, '.', 1)) u`, firstChat).Scan(&twice, &once)
	if err != nil {
		c.t.Fatal(err)
	}
	return twice, once
}

// finish waits until the books are whole, compares them, and stops the servers.
func (c *chatters) finish() {
	for _, serve := range c.serves {
		serve.waitReady()
	}
	for _, serve := range c.serves {
		serve.stop()
	}
	c.reconciled()
}

// chats lets a crowd write to two servers while one of them is killed again and again and Telegram refuses and
// fails: each message is answered, in its chat's order, and paid for once. An answer may come twice after a crash;
// how often is told.
func chats(t *testing.T, c *chatters, size chatting) {
	t.Helper()
	if err := c.telegram.SetFaults(telegramsim.Faults{TooManyPercent: 10, RetryAfter: 1, BadGatewayPercent: 2, EnforcePace: true, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	const firstChat = 5_000_001
	ctx, cancel := context.WithTimeout(t.Context(), size.within)
	defer cancel()
	chaos, calm := context.WithCancel(ctx)
	var killing sync.WaitGroup
	kills := 0
	killing.Go(func() { kills = c.killing(chaos, size.killEvery) })
	result, err := crowd.Run(ctx, c.telegram, crowd.Options{Chats: size.chats, Each: size.each, Rate: size.rate, FirstChat: firstChat, Wait: time.Minute})
	calm()
	killing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	result.Kills = kills
	c.finish()
	twice, once := c.charged(firstChat)
	t.Logf("chats: %d kills of two servers, 10 %% 429, 2 %% 502; %d turns paid, %d of them twice\n%s", kills, once, twice, result)
	if !result.Kept() || twice > 0 {
		t.Errorf("lost %d (%d unacknowledged, %d given up), reordered %d, acknowledged out of order %d, paid twice %d",
			result.Lost, result.Unacknowledged, result.GivenUp, result.Reordered, result.OutOfOrder, twice)
	}
	if result.Together == 0 && once != result.Messages {
		t.Errorf("%d turns are paid for %d messages", once, result.Messages)
	}
	if result.Violations > 0 || len(result.Refused) > 0 {
		t.Errorf("%d calls are not as documented, refused: %v", result.Violations, result.Refused)
	}
	if result.TooMany.Injected == 0 || result.BadGateways == 0 || kills == 0 {
		t.Error("nothing went wrong, so nothing was shown")
	}
}

// TestE2EChats: a few people chat through kills of one of two servers.
func TestE2EChats(t *testing.T) {
	t.Parallel()
	c := newChatters(t, binary, 100_000)
	chats(t, c, chatting{chats: 40, each: 5, rate: 15, killEvery: 3 * time.Second, within: 4 * time.Minute})
}

// The command as an operator runs it: the crowd is a process of its own, the server finds its Bot API there, and
// the servers are killed by what a file says of them.
func TestE2ESimulate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	api := freeAddr(t)
	s.env["TELEGRAM_API_URL"] = "http://" + api
	s.env["WELCOME_CREDIT_USD"] = "5"
	serve := s.serve()
	pids := filepath.Join(t.TempDir(), "server.pid")
	mayDie := func() { // whoever dies before it has worked shows nothing
		t.Helper()
		if err := os.WriteFile(pids, fmt.Appendln(nil, serve.cmd.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mayDie()
	done := make(chan struct{})
	var out []byte
	var simulated error
	go func() {
		defer close(done)
		out, _, simulated = s.try("simulate", "--listen", api, "--webhook", s.url+"/webhook", "--token", simToken, "--secret", simSecret,
			"--chats", "20", "--each", "4", "--rate", "10", "--too-many", "5", "--bad-gateway", "2", "--kill", pids, "--every", "4s", "--json")
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	called := s.model.Count()
	for running, immune := true, false; running; {
		select {
		case <-done:
			running = false
		case <-serve.ended:
			if err := os.Remove(pids); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			serve, called, immune = s.spawn("serve"), s.model.Count(), true
		case <-look.C:
			if immune && s.model.Count() > called {
				mayDie()
				immune = false
			}
		}
	}
	if simulated != nil {
		t.Fatalf("simulate: %v\n%s", simulated, out)
	}
	var result crowd.Result
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !result.Kept() || result.Messages != 80 || result.Kills == 0 || result.FirstFrame.Count != 80 || result.Acknowledged.Count != 80 {
		t.Errorf("%s", out)
	}
	serve.waitReady()
	serve.stop()
	if rules := s.command("simulate", "--rules"); !strings.Contains(string(rules), "WebhookActor.cpp") {
		t.Errorf("rules without sources:\n%s", rules)
	}
	for _, wrong := range [][]string{{"--kill", "1"}, {"--kill", "no such file"}, {"--too-many", "101"}, {"--chats", "0"}, {"--every", "0s"}, {"--answers", "some"}} {
		if _, errs, err := s.try(append([]string{"simulate", "--listen", "127.0.0.1:0", "--webhook", s.url}, wrong...)...); err == nil {
			t.Errorf("%v is taken: %s", wrong, errs)
		}
	}
}
