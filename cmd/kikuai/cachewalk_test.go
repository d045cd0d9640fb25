package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// secrets are what must not be found in the cache: words as they are, and numbers that
// stand by themselves.
type secrets struct{ words, numbers []string }

var packedLimits = regexp.MustCompile(`\d+\|\d+\|\d+\|\d+\|\d+`)

func (s *secrets) money(nano int64) {
	s.numbers = append(s.numbers, strconv.FormatInt(nano, 10), billing.FormatUSD(nano))
}

// in returns which of them stand in a text.
func (s *secrets) in(text string) (found []string) {
	for _, word := range s.words {
		if word != "" && strings.Contains(text, word) {
			found = append(found, word)
		}
	}
	for _, number := range s.numbers {
		if regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(number) + `($|[^0-9])`).MatchString(text) {
			found = append(found, number)
		}
	}
	if limits := packedLimits.FindString(text); limits != "" {
		found = append(found, limits)
	}
	return found
}

// everything reads all keys of a Redis with what they hold.
func everything(t *testing.T, client *redis.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	for keys := client.Scan(t.Context(), 0, "*", 1000).Iterator(); keys.Next(t.Context()); {
		key := keys.Val()
		kind := client.Type(t.Context(), key).Val()
		var text string
		switch kind {
		case "string":
			text = client.Get(t.Context(), key).Val()
		case "hash":
			text = fmt.Sprint(client.HGetAll(t.Context(), key).Val())
		case "list":
			text = fmt.Sprint(client.LRange(t.Context(), key, 0, -1).Val())
		case "zset":
			text = fmt.Sprint(client.ZRangeWithScores(t.Context(), key, 0, -1).Val())
		case "set":
			text = fmt.Sprint(client.SMembers(t.Context(), key).Val())
		case "stream":
			text = fmt.Sprint(client.XRange(t.Context(), key, "-", "+").Val())
		case "none": // it has just ended
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
		all[key] = text
	}
	return all
}

// TestE2ECacheHoldsNoMoney walks through the bot and the API with a cache of its own, and
// then looks at everything in that: no balance, API key or limit has come there.
func TestE2ECacheHoldsNoMoney(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	shelf := testenv.RedisServer(t)
	s.env["CACHE_REDIS_URL"], s.env["CACHE_COMPRESSION_THRESHOLD"] = shelf.URL(), strconv.Itoa(1<<30)
	serve := s.serve()
	s.arrange("webhook", "set")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	var hidden secrets
	var told accountAnswer
	const id = personID
	person := s.telegram.User(id, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	hear := func(pattern string) string {
		t.Helper()
		call, err := s.telegram.WaitSent(ctx, person, said(pattern))
		if err != nil {
			t.Fatalf("no message like %q: %v", pattern, err)
		}
		return call.Params["text"] + call.Params["caption"]
	}
	tell := func(text, pattern string) string {
		t.Helper()
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
		return hear(pattern)
	}
	hear(`Hello, Ada!`)
	hidden.money(500_000_000)
	s.admin(&told, "credit", "--telegram-id", fmt.Sprint(id), "--usd", "12.345678901", "--idempotency-key", "walk")
	hidden.money(12_845_678_901)
	var made struct {
		Key string `json:"key"`
	}
	s.admin(&made, "key", "--telegram-id", fmt.Sprint(id), "--name", "walk", "--rpm", "7919", "--tpm", "1299709", "--concurrency", "6101")
	hidden.numbers = append(hidden.numbers, "7919", "1299709", "6101")
	own := regexp.MustCompile(`kk_\S+`).FindString(tell("/newkey walk", `“walk”`))
	for _, key := range []string{made.Key, own} {
		parts := strings.Split(key, "_")
		hidden.words = append(hidden.words, key, parts[len(parts)-2]) // the secret by itself
	}
	keys := s.redis.Client()
	records := keys.Keys(ctx, "key:{*").Val()
	if len(records) < 2 {
		t.Errorf("records of keys in Redis: %q", records)
	}
	for _, record := range records {
		locator := record[strings.LastIndexByte(record, ':')+1:]
		hidden.words = append(hidden.words, locator, keys.HGet(ctx, record, "mac").Val())
	}
	s.command("admin", "tier", "set", "walkers", "--rpm", "7927")
	s.command("admin", "tier", "assign", "--telegram-id", fmt.Sprint(id), "--tier", "walkers")

	ask := func(stream bool, text string) *http.Response {
		t.Helper()
		body := fmt.Sprintf(`{"model":"echo","temperature":0,"max_tokens":50,"stream":%v,"messages":[{"role":"user","content":%q}]}`, stream, text)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+made.Key)
		request.Header.Set("Cache-Control", "max-age=600")
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		var answer strings.Builder
		if err := response.Write(&answer); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", response.StatusCode, answer.String(), err)
		}
		return response
	}
	for _, stream := range []bool{false, true} {
		for _, state := range []string{"miss", "hit"} {
			if got := ask(stream, "what is said twice").Header.Get("X-Cache"); got != state {
				t.Errorf("streamed %v: X-Cache %q, want %q", stream, got, state)
			}
			available, _ := s.balance(made.Key)
			hidden.money(available)
		}
	}
	for _, path := range []string{"/v1/models", "/api/v1/balance"} {
		if status, body := s.get(path, own); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	tell("a word with the model", `balance \$`)
	available, _ := s.balance(own)
	hidden.money(available)
	tell("/usage "+time.Now().UTC().Format("2006-01"), `Spending:|Nothing was spent`)
	tell("/balance", `^Balance:`)
	tell("/keys", `Your API keys`)
	tell("/topup 5", `.`)
	s.until(time.Minute, "the list of tiers shared", func() bool { // a slow Redis is passed over for a moment
		tell("/help", `what is left`)
		return len(shelf.Client().Keys(ctx, "cache:tiers:*").Val()) > 0
	})

	all := everything(t, shelf.Client())
	spaces := map[string]int{}
	for key, value := range all {
		space := regexp.MustCompile(`^cache:([a-z0-9-]+)[:#]`).FindStringSubmatch(key)
		if space == nil {
			t.Errorf("%q is in the cache's Redis", key)
			continue
		}
		spaces[space[1]]++
		if found := hidden.in(key + "\n" + value); len(found) > 0 {
			t.Errorf("%q holds %q:\n%q", key, found, value)
		}
	}
	for _, space := range []string{"answers", "catalogue", "profiles", "tiers", "usage"} {
		if spaces[space] == 0 {
			t.Errorf("the walk kept nothing in %s: %v", space, spaces)
		}
	}
	for key := range everything(t, s.redis.Client()) {
		if strings.HasPrefix(key, "cache:") {
			t.Errorf("%s is beside the money", key)
		}
	}
	for _, planted := range []string{fmt.Sprintf(`{"available":%d}`, available), "key " + own, "120|0|0|0|0", `"rpm":7919`} {
		if len(hidden.in(planted)) == 0 {
			t.Errorf("%q would not be found", planted)
		}
	}
	serve.stop()
	s.reconciled()
}
