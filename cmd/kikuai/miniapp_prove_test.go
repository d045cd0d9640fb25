//go:build prove

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	miniAppMatrixIn = 25 * time.Minute
	pastPerson      = 700_700
)

// turned are days on which clocks are turned somewhere, in 2026.
var turned = []string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"}

type pastCall struct {
	At   time.Time `json:"at"`
	Nano int64     `json:"nano"`
}

// TestProveLighthouse has Lighthouse load the Mini App, with a person's data, as a phone on a
// slow network does.
func TestProveLighthouse(t *testing.T) {
	s := newMiniAppSite(t)
	const folder = miniAppFolder + "/e2e/lighthouse"
	if _, err := os.Stat(folder + "/node_modules/lighthouse"); err != nil {
		install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		install.Dir = folder
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in %s: %v\n%s", folder, err, out)
		}
	}
	run := exec.CommandContext(t.Context(), "node", "run.mjs")
	run.Dir, run.Env = folder, append(os.Environ(), "APP_URL="+s.url, "INIT_DATA="+signedInitData(personID, time.Now()), "REPORT="+os.Getenv("KIKUAI_REPORT"))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("lighthouse: %v\n%s", err, out)
	}
	t.Logf("lighthouse: %s", strings.TrimSpace(string(out)))
}

// TestProveMiniApp walks the Mini App in all sizes, themes and directions, every screen and
// every action, with axe on each; then two tabs, clocks that are an hour off, and five zones on
// days on which clocks are turned. KIKUAI_SHOTS keeps pictures.
func TestProveMiniApp(t *testing.T) {
	s := newMiniAppSite(t)
	key := s.key(pastPerson, "5.00")
	calls := s.past(key)
	past, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Now()
	out := s.walk(miniAppMatrixIn, "matrix.mjs", "PAST="+string(past), "PAST_KEY="+key, "PAST_DATA="+signedInitData(pastPerson, time.Now()))
	var told struct{ Steps []string }
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatal(err)
	}
	which := "two sizes, themes and directions, two tabs, wrong clocks, five zones"
	if only := os.Getenv("ONLY"); only != "" {
		which = "but the walks named " + only
	}
	t.Logf("miniapp: %d steps in %s: %s; axe found nothing", len(told.Steps), time.Since(took).Round(time.Second), which)
	s.reconciled()
}

// past has the ledger know calls of a key's account around the days on which clocks are
// turned, by events such as Redis writes, and takes what they cost from its balance.
func (s *miniAppSite) past(key string) (calls []pastCall) {
	s.t.Helper()
	ctx, client := s.t.Context(), s.redis.Client()
	var account, id int64
	var made struct {
		Keys []struct{ ID int64 } `json:"keys"`
	}
	_, body := s.get("/api/v1/keys", key)
	if err := json.Unmarshal([]byte(body), &made); err != nil || len(made.Keys) != 1 {
		s.t.Fatalf("keys: %v in %s", err, body)
	}
	id = made.Keys[0].ID
	_, body = s.get("/api/v1/balance", key)
	if _, err := fmt.Sscanf(body, `{"account_id":%d,`, &account); err != nil {
		s.t.Fatalf("balance: %v in %s", err, body)
	}
	shard, dice := stream.ShardOf(account), rand.New(rand.NewPCG(9, 4))
	epoch := client.Get(ctx, shard.Key("epoch")).Val()
	var spent int64
	for _, day := range turned {
		from, err := time.Parse(time.DateOnly, day)
		if err != nil {
			s.t.Fatal(err)
		}
		for at := from.Add(-14 * time.Hour); at.Before(from.Add(40 * time.Hour)); at = at.Add(time.Duration(7+dice.IntN(40)) * time.Minute) {
			call := pastCall{at, 1 + dice.Int64N(1_000_000)}
			calls, spent = append(calls, call), spent+call.Nano
			err := client.XAdd(ctx, &redis.XAddArgs{Stream: shard.Key("ev"), ID: fmt.Sprintf("%d-1", at.UnixMilli()), Values: []any{
				"t", "settle", "e", epoch, "h", fmt.Sprintf("past-%d", len(calls)), "a", account, "k", id * dice.Int64N(2), "c", call.Nano, "w", 0,
				"d", fmt.Sprintf(`{"p":10,"o":5,"m":"model-%d","d":"home","s":"api"}`, dice.IntN(3))}}).Err()
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
	if err := client.HIncrBy(ctx, billing.AcctKey(account), billing.AccountFieldAvailable, -spent).Err(); err != nil {
		s.t.Fatal(err)
	}
	s.until(startIn, "in the ledger", func() bool {
		_, body := s.get("/api/v1/usage?from=2026-03-01&to=2026-11-15&tz=UTC", key)
		return strings.Contains(body, fmt.Sprintf(`"calls":%d,`, len(calls)))
	})
	return calls
}
