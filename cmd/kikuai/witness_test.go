package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/postgres"
)

// numbered is how many models of the witness' catalogue differ in nothing but their
// name: an account that calls each of them once can tell its calls apart in the books.
const numbered = 1000

// witness remembers what was seen from outside the servers and compares the books with
// it: what was answered must stand there once, what was not at most once.
type witness struct {
	s    *site
	pool *pgxpool.Pool

	mu      sync.Mutex
	calls   map[callName]callSeen
	updates map[int64]message
	credits map[string]bool // idempotency keys of credits that were confirmed
	keys    map[int64]bool  // ids of API keys that were made
	charges map[string]bool // of payments; true: and given back
}

// callName tells a call from all others.
type callName struct {
	account int64
	model   string
}

// message is what a person wrote, by the id of its update.
type message struct {
	chat int64
	at   time.Time
}

type callSeen struct {
	answered bool // to its end, with its cost
	cost     int64
	at       time.Time // of the answer's end
}

// newWitness gives the site a catalogue of numbered models. A token of theirs takes a
// few milliseconds, so that a crash finds streams under way.
func newWitness(s *site) *witness {
	s.t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, siteCatalogue, s.model.URL())
	text.WriteString("  - {id: refuses, prices: {input: \"1\", output: \"1\"}, context: 1000, max_output: 100, deployments: [{provider: sim, model: sim-error-400}]}\n")
	for i := range numbered {
		fmt.Fprintf(&text, "  - id: %s\n    prices: {input: \"0.15\", output: \"0.60\"}\n    context: 128000\n    max_output: 4096\n"+
			"    deployments: [{provider: sim, model: sim-paced}]\n", modelName(i))
	}
	s.model.Assign("sim-paced", llmsim.Script{Tokens: 12, Cadence: 5 * time.Millisecond})
	file := filepath.Join(s.t.TempDir(), "numbered.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.env["CATALOG_FILE"] = file
	pool, err := postgres.Open(s.t.Context(), s.env["DATABASE_URL"], postgres.Options{MaxConns: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return &witness{s: s, pool: pool, calls: map[callName]callSeen{}, updates: map[int64]message{}, credits: map[string]bool{}, keys: map[int64]bool{}, charges: map[string]bool{}}
}

func modelName(i int) string { return fmt.Sprintf("number-%04d", i) }

// wrote takes down that a person wrote a message.
func (w *witness) wrote(chat int64, _ int, update int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updates[update] = message{chat, time.Now()}
}

func (w *witness) saw(name callName, seen callSeen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name] = seen
}

func (w *witness) credited(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credits[key] = true
}

func (w *witness) keyed(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[id] = true
}

// paid takes down that a payment was made.
func (w *witness) paid(charge string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.charges[charge]; !known {
		w.charges[charge] = false
	}
}

// refunds takes down that a payment was given back.
func (w *witness) refunds(charge string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.charges[charge] = true
}

// call makes one call and takes down what came of it. Status 0: no answer, or none to
// its end. A call that reached no server is as if it had not been made.
func (w *witness) call(ctx context.Context, url string, c customer, model int, stream bool) (status int, made bool) {
	name := callName{c.account, modelName(model)}
	body := fmt.Sprintf(`{"model":%q,"max_tokens":64,"stream":%t,"messages":[{"role":"user","content":"go"}]`, name.model, stream)
	if stream {
		body += `,"stream_options":{"include_usage":true}`
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body+"}"))
	if err != nil {
		return 0, false
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := w.s.client.Do(request)
	if err != nil {
		refused := strings.Contains(err.Error(), "connection refused")
		if !refused {
			w.saw(name, callSeen{})
		}
		return 0, !refused
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
			w.s.t.Errorf("503 without Retry-After")
		}
		w.saw(name, callSeen{})
		return response.StatusCode, true
	}
	answer, err := io.ReadAll(response.Body)
	whole := string(answer)
	if err != nil || stream && !strings.Contains(whole, "data: [DONE]") {
		w.saw(name, callSeen{})
		return 0, true
	}
	seen := callSeen{answered: true, at: time.Now()}
	for line := range strings.Lines(whole) {
		if cost := gjson.Get(strings.TrimPrefix(line, "data: "), "usage.cost"); cost.Exists() {
			if seen.cost, err = billing.ParseUSD(cost.Raw); err != nil {
				w.s.t.Errorf("cost %s: %v", cost.Raw, err)
			}
		}
	}
	w.saw(name, seen)
	return http.StatusOK, true
}

// verdict is how the books differ from what was seen.
type verdict struct {
	calls, updates, credits, keys, charges int        // seen to have succeeded
	lostCalls                              []callSeen // and are not in the books, or not whole
	lostUpdates                            []message
	lostOthers                             int // credits, keys, payments and refunds
	duplicates                             int
	details                                []string
}

func (v *verdict) missing() int { return len(v.lostCalls) + len(v.lostUpdates) + v.lostOthers }

// lostNano is what the lost calls cost.
func (v *verdict) lostNano() (nano int64) {
	for _, call := range v.lostCalls {
		nano += call.cost
	}
	return nano
}

// exact fails the test where anything is missing or there twice.
func (v *verdict) exact(t *testing.T) {
	t.Helper()
	if v.missing()+v.duplicates > 0 {
		t.Errorf("%d missing, %d duplicates:\n%s", v.missing(), v.duplicates, strings.Join(v.details, "\n"))
	}
}

func (v *verdict) lacks(format string, args ...any) {
	v.details = append(v.details, "missing: "+fmt.Sprintf(format, args...))
}

func (v *verdict) repeats(format string, args ...any) {
	v.duplicates++
	v.details = append(v.details, "duplicate: "+fmt.Sprintf(format, args...))
}

// judge compares.
func (w *witness) judge(ctx context.Context) (verdict, error) {
	w.mu.Lock()
	calls, updates := maps.Clone(w.calls), maps.Clone(w.updates)
	credits, keys, charges := maps.Clone(w.credits), maps.Clone(w.keys), maps.Clone(w.charges)
	w.mu.Unlock()
	var v verdict
	for _, compare := range []func() error{
		func() error { return w.judgeCalls(ctx, calls, &v) },
		func() error { return w.judgeUpdates(ctx, updates, &v) },
		func() error { return w.judgeCredits(ctx, credits, &v) },
		func() error { return w.judgeKeys(ctx, keys, &v) },
		func() error { return w.judgeCharges(ctx, charges, &v) },
	} {
		if err := compare(); err != nil {
			return v, err
		}
	}
	return v, nil
}

type row struct {
	name string
	n    int64
	nano int64
}

func (w *witness) rows(ctx context.Context, query string) (map[string]row, error) {
	found, err := w.pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (x row, err error) {
		err = r.Scan(&x.name, &x.n, &x.nano)
		return x, err
	})
	rows := make(map[string]row, len(list))
	for _, r := range list {
		rows[r.name] = r
	}
	return rows, err
}

func (w *witness) judgeCalls(ctx context.Context, calls map[callName]callSeen, v *verdict) error {
	rows, err := w.rows(ctx, `select account_id || ' ' || model, count(*), sum(cost_nano)::bigint
		from usage where model like 'number-%' group by 1`)
	if err != nil {
		return err
	}
	for name, seen := range calls {
		key := fmt.Sprintf("%d %s", name.account, name.model)
		found := rows[key]
		delete(rows, key)
		switch {
		case found.n > 1:
			v.repeats("call %s: %d times", key, found.n)
		case seen.answered && found.n == 0:
			v.lostCalls = append(v.lostCalls, seen)
			v.lacks("call %s, answered for %d", key, seen.cost)
		case seen.answered && found.nano < seen.cost: // what is left of it is lost
			v.lacks("call %s, answered for %d, billed %d", key, seen.cost, found.nano)
			seen.cost -= found.nano
			v.lostCalls = append(v.lostCalls, seen)
		case seen.answered && found.nano > seen.cost:
			v.repeats("call %s: answered for %d, billed %d", key, seen.cost, found.nano)
		}
		if seen.answered {
			v.calls++
		}
	}
	for key, found := range rows {
		v.repeats("call %s: billed %d times and never made", key, found.n)
	}
	return nil
}

// judgeUpdates holds each message against its call, which was charged once however
// often it had to be made; a further hold of the same update carries a suffix.
func (w *witness) judgeUpdates(ctx context.Context, updates map[int64]message, v *verdict) error {
	rows, err := w.rows(ctx, `select split_part(hold_id, '.', 1), count(*), count(*) filter (where captured_nano > 0)
		from usage where hold_id like 'tg-%' group by 1`)
	if err != nil {
		return err
	}
	v.updates = len(updates)
	for update, written := range updates {
		found := rows[fmt.Sprintf("tg-%d", update)]
		switch charged := found.nano; {
		case found.n == 0:
			v.lostUpdates = append(v.lostUpdates, written)
			v.lacks("update %d of chat %d", update, written.chat)
		case charged > 1:
			v.repeats("update %d of chat %d: charged %d times", update, written.chat, charged)
		}
	}
	return nil
}

func (w *witness) judgeCredits(ctx context.Context, credits map[string]bool, v *verdict) error {
	rows, err := w.rows(ctx, `select idempotency_key, count(*), sum(amount_nano)::bigint from credits group by 1`)
	if err != nil {
		return err
	}
	v.credits = len(credits)
	for key := range credits {
		switch n := rows[key].n; {
		case n == 0:
			v.lostOthers++
			v.lacks("credit %s", key)
		case n > 1:
			v.repeats("credit %s: %d times", key, n)
		}
	}
	return nil
}

// judgeKeys looks for the keys; that Redis has them is what reconciling tells.
func (w *witness) judgeKeys(ctx context.Context, keys map[int64]bool, v *verdict) error {
	rows, err := w.rows(ctx, `select id::text, count(*), 0::bigint from api_keys group by 1`)
	if err != nil {
		return err
	}
	v.keys = len(keys)
	for id := range keys {
		if rows[fmt.Sprint(id)].n == 0 {
			v.lostOthers++
			v.lacks("key %d", id)
		}
	}
	return nil
}

// judgeCharges holds each payment against the credit it became, and each refund against
// the debit.
func (w *witness) judgeCharges(ctx context.Context, charges map[string]bool, v *verdict) error {
	credits, err := w.rows(ctx, `select p.charge_id, count(c.id), coalesce(sum(c.amount_nano), 0)::bigint
		from payments p left join credits c on c.transaction_id = p.transaction_id group by 1`)
	if err != nil {
		return err
	}
	debits, err := w.rows(ctx, `select p.charge_id, count(t.id), 0::bigint
		from payments p left join ledger_transactions t on t.reference like 'refund:' || p.charge_id || '%' group by 1`)
	if err != nil {
		return err
	}
	v.charges = len(charges)
	for charge, refunded := range charges {
		if n := credits[charge].n; n == 0 {
			v.lostOthers++
			v.lacks("payment %s", charge)
		} else if n > 1 {
			v.repeats("payment %s: %d times", charge, n)
		}
		if n := debits[charge].n; refunded && n == 0 {
			v.lostOthers++
			v.lacks("refund of %s", charge)
		} else if n > 1 || !refunded && n > 0 {
			v.repeats("refund of %s: %d times", charge, n)
		}
	}
	return nil
}

// settled waits until nothing is missing any more, or what is missing has not changed
// for a while, and returns what was found then.
func (w *witness) settled(within time.Duration) *verdict {
	w.s.t.Helper()
	const still = 10 * time.Second // longer than a relay takes to come round
	before, since := -1, time.Now()
	for deadline := since.Add(within); ; time.Sleep(100 * time.Millisecond) {
		v, err := w.judge(w.s.t.Context())
		if err != nil {
			w.s.t.Fatal(err)
		}
		if v.missing() != before {
			before, since = v.missing(), time.Now()
		}
		if before == 0 || time.Since(since) > still || time.Now().After(deadline) {
			return &v
		}
	}
}
