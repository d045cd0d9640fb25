package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

const wordNano = 1000 // what a token of the models "…-word" costs

// TestDisconnects: a few hundred of what make prove-disconnects does ten thousand times.
func TestDisconnects(t *testing.T) { disconnects(t, 600, 24) }

// disconnects makes calls in every protocol that streams, many at a time, of which each
// goes in its own random way: clients leave, providers fail, both at once. Each is billed
// for at least what was delivered and at most what was produced, and for exactly what was
// delivered where the client stayed to the end. Afterwards nothing is held, no call, no
// connection and no goroutine of one is left, and the ledger has what the balances say.
func disconnects(t *testing.T, trials, workers int) {
	provider := newFateful(t)
	r := newRig(t, func(s *setup) {
		s.own, s.claude = provider.url, provider.url
		s.server.PingEvery, s.server.LookEvery = 50*time.Millisecond, 20*time.Millisecond
		s.timeouts = llm.Timeouts{FirstByte: 10 * time.Second, Stall: time.Second}
		s.meter.Circuits.Failures = 1 << 30 // half of the provider's answers are meant to fail
	})
	accounts := make([]*visitor, workers)
	for i := range accounts {
		id, key := r.account(1000 * dollar)
		accounts[i] = &visitor{rig: r, provider: provider, account: id, key: key, random: rand.New(rand.NewPCG(uint64(i), 9)), ways: map[string]int64{}}
	}
	var next atomic.Int64
	var working sync.WaitGroup
	began := time.Now()
	for _, v := range accounts {
		working.Go(func() {
			for id := next.Add(1); id <= int64(trials); id = next.Add(1) {
				f := v.draw(id)
				if err := v.call(f); err != nil {
					t.Errorf("%+v: %v", f, err)
					return
				}
			}
		})
	}
	working.Wait()
	took := time.Since(began)
	var delivered, billed, left, paid int64
	ways := map[string]int64{}
	for _, v := range accounts {
		delivered, billed, left, paid = delivered+v.delivered, billed+v.billed, left+v.left, paid+v.paid
		for way, calls := range v.ways {
			ways[way] += calls
		}
		if spent := r.ledger(v.account, v.paid); spent != v.billed*wordNano {
			t.Errorf("account %d: the ledger has %d, billed were %d", v.account, spent, v.billed*wordNano)
		}
	}
	r.provider.Close()
	testenv.Until(r.t, "nothing of the calls is left", func() bool {
		return r.meter.flight.count() == 0 && len(r.meter.resolver.money.slots) == 0 && provider.open.Load() == 0 &&
			r.server.App().Server().GetOpenConnectionsCount() == 0 && callGoroutines() == 0
	})
	r.holdsNothing()
	if paid*2 < int64(trials) || len(ways) != 6 {
		t.Errorf("only %d of %d calls came to anything: %v", paid, trials, ways)
	}
	t.Logf("disconnects: %d calls in three protocols to providers of two in %s, %d clients left, %d calls billed; tokens delivered %d, billed %d; held 0, calls, connections and goroutines left 0",
		trials, took.Round(100*time.Millisecond), left, paid, delivered, billed)
}

// holdsNothing looks for holds that have a deadline to be resolved by.
func (r *rig) holdsNothing() {
	r.t.Helper()
	for shard := range stream.Shard(stream.Shards) {
		if n := r.client.ZCard(r.t.Context(), shard.Key("exp")).Val(); n > 0 {
			r.t.Errorf("shard %d has %d holds", shard, n)
		}
	}
}

// callGoroutines counts those that a call or a connection of one is made of.
func callGoroutines() (n int) {
	var stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		for _, own := range []string{"gateway.(*Server).pump(", "gateway.(*eventStream).", "llm.(*Stream).", "net/http.(*persistConn).", "fasthttp.(*Server).serveConn("} {
			if strings.Contains(stack, own) {
				n++
				break
			}
		}
	}
	return n
}

// visitor is a client with an account of its own, which makes one call after the other.
type visitor struct {
	rig      *rig
	provider *fateful
	account  int64
	key      string
	random   *rand.Rand

	delivered, billed, left, paid int64
	ways                          map[string]int64 // calls that came to something, by path and model
}

// draw makes up a fate.
func (v *visitor) draw(id int64) fate {
	f := fate{ID: id, Tokens: 1 + v.random.IntN(60), leave: -1}
	f.path = []string{"/v1/chat/completions", "/v1/messages", "/v1/responses"}[v.random.IntN(3)]
	f.model = []string{"own-word", "claude-word"}[v.random.IntN(2)]
	if v.random.IntN(20) == 0 {
		f.Tokens = 1500
	}
	if f.Tokens <= 60 && v.random.IntN(3) == 0 {
		f.Pace = time.Duration(v.random.IntN(2000)) * time.Microsecond
	}
	if v.random.IntN(8) == 0 {
		f.Late = time.Duration(v.random.IntN(30)) * time.Millisecond
	}
	if v.random.IntN(2) == 0 {
		ends := []string{endCut, endError, endShort, endCut, endError, endShort, endStill, endRefused, endBusy, endPage}
		f.End, f.After = ends[v.random.IntN(len(ends))], v.random.IntN(f.Tokens)
	}
	if v.random.IntN(4) == 0 {
		f.Usage = []string{"null", "-5", `"7"`, "9223372036854775807"}[v.random.IntN(4)]
	}
	switch v.random.IntN(8) {
	case 0, 1, 2:
		f.leave, f.hard = v.random.IntN(f.Tokens+1), v.random.IntN(2) == 0
	case 3:
		f.half = true
	case 4:
		f.second = true
	}
	return f
}

// call makes one call and compares what came of it with what it is billed.
func (v *visitor) call(f fate) error {
	ctx, cancel := context.WithTimeout(v.rig.t.Context(), 5*patience)
	defer cancel()
	s := v.provider.expect(f.ID)
	defer v.provider.calls.Delete(f.ID)
	before, err := v.balance(ctx)
	if err != nil {
		return err
	}
	got, err := v.visit(f, s)
	for err == nil && got.status == http.StatusServiceUnavailable && ctx.Err() == nil { // the provider has too much to do
		time.Sleep(20 * time.Millisecond)
		got, err = v.visit(f, s)
	}
	if err != nil {
		return err
	}
	after, err := v.balance(ctx)
	if err != nil {
		return err
	}
	billed, produced := (before-after)/wordNano, s.sent.Load()
	v.delivered, v.billed = v.delivered+got.tokens, v.billed+billed
	if billed > 0 {
		v.paid++
		v.ways[f.path+" "+f.model]++
	}
	if !got.ended {
		v.left++
	}
	switch {
	case (before-after)%wordNano != 0, billed < got.tokens, billed > produced:
		return fmt.Errorf("%d tokens delivered, %d nano-USD billed, %d tokens produced", got.tokens, before-after, produced)
	case got.ended && billed != got.tokens:
		return fmt.Errorf("the client got all: %d tokens, and is billed for %d", got.tokens, billed)
	case got.ended && got.status == http.StatusOK && got.well && got.tokens != int64(f.Tokens):
		return fmt.Errorf("%d tokens of %d, and it ended well", got.tokens, f.Tokens)
	case f.second && got.ended && !got.followed:
		return errors.New("the second request was not answered")
	}
	return nil
}

// balance waits until nothing is held.
func (v *visitor) balance(ctx context.Context) (int64, error) {
	for {
		b, err := v.rig.desk.Accounts.Balance(ctx, v.account)
		if err == nil && b.Held == 0 {
			return b.Available, nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%+v is held: %w", b, errors.Join(err, ctx.Err()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// experience is what a client saw.
type experience struct {
	status   int
	tokens   int64
	ended    bool // it read to the end
	well     bool // and that was the protocol's own
	followed bool // a second request was answered
}

// visit makes the call over a socket of its own.
func (v *visitor) visit(f fate, s *served) (o experience, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(v.rig.url, "http://"))
	if err != nil {
		return o, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(4 * patience))
	if _, err := io.WriteString(conn, v.request(f)); err != nil {
		return o, err
	}
	if f.half {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	leave := func() (experience, error) {
		if f.hard {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		return o, nil
	}
	reader := bufio.NewReader(conn)
	if f.leave == 0 {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _ = reader.Peek(1)
		}()
		select {
		case <-s.asked: // the call exists
			return leave()
		case <-answered: // it was refused, or began at once
		}
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return o, fmt.Errorf("before the answer: %w", err)
	}
	defer response.Body.Close()
	o.status = response.StatusCode
	if f.leave == 0 && o.status == http.StatusOK {
		return leave()
	}
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, `delta"`) { // some protocols say all of it again at the end
			o.tokens += int64(strings.Count(line, `"`+oneWord+`"`))
		}
		if f.leave > 0 && o.tokens >= int64(f.leave) {
			return leave()
		}
		o.well = o.well || strings.HasPrefix(line, "data: [DONE]") || strings.Contains(line, `"message_stop"`) || strings.Contains(line, `"type":"response.completed"`)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return o, fmt.Errorf("after %d tokens: %w", o.tokens, err)
		}
	}
	o.ended = true
	if f.second {
		next, err := http.ReadResponse(reader, nil)
		if err == nil {
			o.followed = next.StatusCode == http.StatusOK
			_ = next.Body.Close()
		}
	}
	return o, nil
}

func (v *visitor) request(f fate) string {
	text, _ := json.Marshal(f) // what is exported of it, for the provider
	said := string(gjson.AppendJSONString(nil, string(text)))
	body := fmt.Sprintf(`{"model":%q,"max_tokens":4000,"stream":true,"messages":[{"role":"user","content":%s}]}`, f.model, said)
	if f.path == "/v1/responses" {
		body = fmt.Sprintf(`{"model":%q,"max_output_tokens":4000,"stream":true,"input":%s}`, f.model, said)
	}
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", f.path, v.key, len(body), body)
	if f.second {
		request += healthy
	}
	return request
}
