package main

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
)

// TestE2EOrphans: a server is killed in the middle of a long stream and of an answer in
// one piece; another one serves. The stream is paid as far as its last checkpoint,
// within 30 seconds of the hold's deadline, the other call not at all, and nothing is
// held any more.
func TestE2EOrphans(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const life = 15 * time.Second
	s.env["HOLD_LIFE"] = life.String()
	s.model.Assign("sim-slow", llmsim.Script{Tokens: 3000, Cadence: 10 * time.Millisecond})
	s.model.Assign("sim-tokens-100", llmsim.Script{Headers: time.Hour})
	serve := s.serve()
	streamed, whole := s.key(personID, "1"), s.key(personID+1, "1")

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	words := make(chan string, 1)
	go func() {
		words <- s.listen(ctx, streamed, `{"model":"slow","stream":true,"max_tokens":4000,"messages":[{"role":"user","content":"Tell me a long story."}]}`)
	}()
	go s.listen(ctx, whole, `{"model":"exact","max_tokens":100,"messages":[{"role":"user","content":"Tell me a short one."}]}`)
	redis := s.redis.Client()
	var mark string
	s.until(30*time.Second, "under way, with a checkpoint", func() bool {
		marks := redis.Keys(t.Context(), "mark:*").Val()
		if len(marks) != 1 || len(redis.Keys(t.Context(), "hold:*").Val()) != 2 {
			return false
		}
		mark = marks[0]
		cost, _, _ := strings.Cut(redis.Get(t.Context(), mark).Val(), "|")
		nano, err := strconv.ParseInt(cost, 10, 64)
		return err == nil && nano > 100*600 // words
	})
	_, held := s.balance(streamed)
	serve.kill()
	said := <-words
	shard, id, _ := strings.Cut(strings.TrimPrefix(mark, "mark:"), ":")
	deadline := int64(redis.ZScore(t.Context(), "exp:"+shard, id).Val())
	if left := deadline - redis.Time(t.Context()).Val().UnixMilli(); left <= 0 || left > life.Milliseconds() {
		t.Errorf("the hold lives for another %d ms", left)
	}
	serve = s.serve()

	s.until(2*time.Minute, "settled", func() bool {
		_, heldOne := s.balance(streamed)
		_, heldTwo := s.balance(whole)
		return heldOne == 0 && heldTwo == 0
	})
	available, _ := s.balance(streamed)
	spent := billing.NanoPerUSD - available
	var counter llm.Counter
	most := 600*counter.Count(said) + 150*100 // of the words, and of a prompt that is far shorter
	if spent <= 0 || spent > most || spent >= held {
		t.Errorf("spent %d of %d held, with words for %d sent", spent, held, most)
	}
	if available, _ := s.balance(whole); available != billing.NanoPerUSD {
		t.Errorf("the call without an answer cost %d", billing.NanoPerUSD-available)
	}
	serve.stop()
	settled := s.one(`select (extract(epoch from created_at) * 1000)::bigint from usage where estimated and captured_nano = $1`, spent)
	if late := settled - deadline; late <= 0 || late > 30_000 {
		t.Errorf("settled %d ms after the deadline", late)
	}
	s.reconciled()
	t.Logf("orphans: killed with %d nano-USD held, settled at %d, %d ms after the deadline", held, spent, settled-deadline)
}

// listen makes a call and returns what was streamed until the connection broke.
func (s *site) listen(ctx context.Context, key, body string) (said string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := s.client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			said += gjson.Get(data, "choices.0.delta.content").Str
		}
	}
	return said
}
