package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// failpoints kills a process at each mark in turn, lets another one go on, and holds
// the books against what was seen from outside.
func failpoints(t *testing.T, marks []string) {
	s := newSite(t, func(o *telegramsim.Options) {
		o.RetryScale = 0.02
		o.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) } // payments are old enough to be compared
	})
	s.withFailpoints()
	s.takeCards()
	s.env["WELCOME_CREDIT_USD"] = "5"
	s.env["REFERRAL_CREDIT_USD"] = "0.25"
	s.env["ADMIN_TELEGRAM_IDS"] = strconv.FormatInt(feedbackReader, 10)
	s.arrange("webhook", "set")
	s.telegram.User(feedbackReader, "Max")
	if _, err := s.telegram.StartBot(feedbackReader, ""); err != nil { // a bot may not write first
		t.Fatal(err)
	}
	w := newWitness(s)
	var table strings.Builder
	lines := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "mark\tkilled\tcalls\tupdates\tcredits\tpayments\tmissing\tduplicates\tdifferences")
	for n, mark := range marks {
		p := &passage{w: w, mark: mark, n: n}
		killed, v, differences := p.run()
		answer := "yes"
		if !killed {
			answer = "NO"
			t.Errorf("%s: no work passes it", mark)
		}
		if v.missing()+v.duplicates+len(differences) > 0 {
			t.Errorf("%s: %s\n%s", mark, strings.Join(v.details, "\n"), fmt.Sprintf("%+v", differences))
		}
		fmt.Fprintf(lines, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", mark, answer,
			v.calls, v.updates, v.credits, v.charges, v.missing(), v.duplicates, len(differences))
	}
	_ = lines.Flush()
	t.Logf("failpoints: %d marks; what was seen is added up from mark to mark\n%s", len(marks), table.String())
}

// passage is work that passes every mark, done while a process is killed at one.
type passage struct {
	w    *witness
	mark string
	n    int // of the passage: tells its people and accounts from others'

	keeper *keeper
	mu     sync.Mutex
	killed bool
}

func (p *passage) noteKilled(killed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = p.killed || killed
}

// run works until a process was killed at the mark and all work is finished, at most
// three times over. Then a server that was not killed goes on until the books have it all.
func (p *passage) run() (killed bool, v *verdict, differences []differenceAnswer) {
	s := p.w.s
	p.keeper = s.keep(p.mark)
	defer p.keeper.end()
	for try := range 3 {
		p.work(try)
		p.noteKilled(p.keeper.kills() > 0)
		if p.killed {
			break
		}
	}
	v = p.w.settled(30 * time.Second)
	answer, code := s.reconcile()
	if code != 0 && len(answer.Differences) == 0 {
		s.t.Errorf("%s: admin reconcile ended with %d: %+v", p.mark, code, answer)
	}
	return p.killed, v, answer.Differences
}

// work is something of everything.
func (p *passage) work(try int) {
	s := p.w.s
	// Who dies with a claimed notice keeps it from the others for a minute, at most.
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	serial := 3*p.n + try
	c := p.open(serial)
	var all sync.WaitGroup
	all.Go(func() { p.chat(ctx, serial) })
	all.Go(func() { p.callAPI(ctx, c) })
	all.Go(func() { p.administer(serial) })
	all.Go(func() { p.payByCard(ctx, c, serial) })
	all.Go(func() { p.stars(ctx, serial) })
	all.Go(func() { p.gifts(ctx, serial) })
	all.Go(func() { p.feedback(ctx, serial) })
	all.Wait()
}

// open makes an account and a key by commands that may be killed.
func (p *passage) open(serial int) customer {
	s := p.w.s
	id, key := fmt.Sprint(7_000_000+serial), fmt.Sprintf("passage-%d", serial)
	out, killed := s.insist(p.mark, "admin", "credit", "--telegram-id", id, "--usd", "1", "--idempotency-key", key, "--json")
	p.noteKilled(killed)
	var credited accountAnswer
	p.decode(out, &credited)
	p.w.credited("admin:" + key)
	out, killed = s.insist(p.mark, "admin", "key", "--telegram-id", id, "--name", "passage", "--json")
	p.noteKilled(killed)
	var made struct {
		Key string `json:"key"`
	}
	p.decode(out, &made)
	p.organise(serial, id)
	return customer{credited.AccountID, made.Key}
}

func (p *passage) decode(out []byte, into any) {
	p.w.s.t.Helper()
	if err := json.Unmarshal(out, into); err != nil {
		p.w.s.t.Fatalf("%v\n%s", err, out)
	}
}

// chat lets two new people write, who get their welcome credit and their answers.
func (p *passage) chat(ctx context.Context, serial int) {
	report, err := p.w.s.telegram.Replay(ctx, telegramsim.ReplayOptions{
		Chats: 2, PerChat: 3, FirstChat: int64(8_000_000 + 2*serial), Topics: true, Wait: 50 * time.Second, Written: p.w.wrote,
		Text: func(_ int64, i int) string { return fmt.Sprintf("message %d", i) },
	})
	// Others write meanwhile, so that what is not acknowledged yet is left to the verdict.
	if err != nil || len(report.Lost) > 0 {
		p.w.s.t.Errorf("%s: updates given up %v: %v", p.mark, report.Lost, err)
	}
}

// callAPI calls, streamed and not, until enough has been answered; on the way the
// account's shard loses its epoch and is rebuilt with streams under way.
func (p *passage) callAPI(ctx context.Context, c customer) {
	s := p.w.s
	s.chat(c.key, "refuses", "go", 10)
	var lines sync.WaitGroup
	var mu sync.Mutex
	next, answered, lost := 0, 0, false
	for line := range 3 {
		lines.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				model := next
				next++
				done, loses := answered >= 24, answered >= 12 && !lost
				lost = lost || loses
				mu.Unlock()
				if done || model >= numbered {
					return
				}
				if loses {
					p.loseEpoch(ctx, c.account)
				}
				status, made := p.w.call(ctx, s.url, c, model, (model+line)%2 == 0)
				if !made || status == 503 {
					time.Sleep(50 * time.Millisecond)
				}
				if status == 200 {
					mu.Lock()
					answered++
					mu.Unlock()
				}
			}
		})
	}
	lines.Wait()
	if answered < 24 {
		s.t.Errorf("%s: only %d calls were answered", p.mark, answered)
	}
}

func (p *passage) loseEpoch(ctx context.Context, account int64) {
	client := redis.NewClient(&redis.Options{Addr: p.w.s.redis.Addr})
	defer func() { _ = client.Close() }()
	if err := client.Del(ctx, billing.EpochKey(account)).Err(); err != nil {
		p.w.s.t.Errorf("lose the epoch: %v", err)
	}
}

// administer makes a key and revokes it; where the revocation is killed it is in force
// all the same.
func (p *passage) administer(serial int) {
	s := p.w.s
	id := fmt.Sprint(7_000_000 + serial)
	out, killed := s.insist(p.mark, "admin", "key", "--telegram-id", id, "--name", "short-lived", "--json")
	p.noteKilled(killed)
	var made struct {
		KeyID int64  `json:"key_id"`
		Key   string `json:"key"`
	}
	p.decode(out, &made)
	for _, which := range [][]string{{}, {"--key-id", fmt.Sprint(made.KeyID)}} {
		args := append([]string{"admin", "budget", "--telegram-id", id, "--month-usd", "1000", "--json"}, which...)
		_, killed = s.insist(p.mark, args...)
		p.noteKilled(killed)
	}
	for _, args := range [][]string{
		{"limit", "--key-id", fmt.Sprint(made.KeyID), "--rpm", "1000"},
		{"tier", "set", "passage", "--tpm", fmt.Sprint(1_000_000 + serial)},
		{"tier", "assign", "--telegram-id", id, "--tier", "passage"},
	} {
		_, killed = s.insist(p.mark, append(append([]string{"admin"}, args...), "--json")...)
		p.noteKilled(killed)
	}
	_, killed = s.insist(p.mark, "admin", "revoke", "--key-id", fmt.Sprint(made.KeyID), "--json")
	p.noteKilled(killed)
	s.until(startIn, "revoked", func() bool {
		status, _ := s.get("/v1/models", made.Key)
		return status == 401
	})
}

// organise gives the account an organisation with a budget, which its calls count in.
func (p *passage) organise(serial int, telegramID string) {
	s := p.w.s
	name := fmt.Sprintf("passage %d", serial)
	_, _, err := s.try("admin", "org", "create", name, "--budget-usd", "1000", "--json")
	var orgs struct{ Organisations []orgAnswer }
	s.admin(&orgs, "org", "list")
	for _, org := range orgs.Organisations {
		if org.Name != name {
			continue
		}
		for _, args := range [][]string{
			{"org", "set", fmt.Sprint(org.ID), "--budget-day-usd", "1000"},
			{"org", "add", "--id", fmt.Sprint(org.ID), "--telegram-id", telegramID},
		} {
			_, killed := s.insist(p.mark, append(append([]string{"admin"}, args...), "--json")...)
			p.noteKilled(killed)
		}
		return
	}
	s.t.Errorf("%s: no organisation was made: %v", p.mark, err)
}

// TestE2EFailpoints kills the server between two durable steps at a few places; the
// proof of the same name does so at all of them.
func TestE2EFailpoints(t *testing.T) {
	t.Parallel()
	failpoints(t, []string{"money.applied", "call.answered", "webhook.persisted", "outbox.sent"})
}
