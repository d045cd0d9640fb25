package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llmsim"
)

// fails runs a command that must end with an exit code and say a sentence on standard
// error, and nothing on standard output.
func (s *site) fails(code int, sentence string, args ...string) {
	s.t.Helper()
	out, errs, err := s.try(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(string(errs), sentence) || len(out) > 0 ||
		strings.Contains(string(errs), "goroutine") {
		s.t.Errorf("kikuai %s: %v, want exit code %d and %q\n%s%s", strings.Join(args, " "), err, code, sentence, out, errs)
	}
}

// TestE2EBadAmounts: amounts that are none, at the command line. Each is tried on the
// parsed command, a few of every kind on the binary, which takes a second to start.
func TestE2EBadAmounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	credit := func(usd, key string) []string {
		return []string{"admin", "credit", "--telegram-id", "77", "--usd=" + usd, "--idempotency-key=" + key}
	}
	fails := func(code int, sentence string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		got := run(t.Context(), args, func(name string) (string, bool) { value, set := s.env[name]; return value, set }, &out, &errs)
		if got != code || !strings.Contains(errs.String(), sentence) || out.Len() > 0 {
			t.Errorf("kikuai %s: %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, sentence, &out, &errs)
		}
	}
	for _, usd := range []string{"-1", "-0.01", "-0", "+1", "", " ", " 1", "1 ", "1e3", "1E-9", "0x10", "NaN", "Inf", "-Infinity", "1,50", "1.2.3",
		"1.", ".5", "$1", "1 USD", "one", "١٫٥", "１.５０", "½", "1\u200b", "−5", "1\t", "true"} {
		fails(1, "--usd: not a decimal such as 1.50", credit(usd, "bad")...)
	}
	for usd, sentence := range map[string]string{
		"0": "--usd is from", "0.00": "--usd is from", "0.000000000": "--usd is from", "1000000.000000001": "--usd is from", "9007199": "--usd is from",
		"0.0000000001": "--usd: finer than a nano-dollar", "1.0000000000": "--usd: finer than a nano-dollar",
		"9007200": "--usd: above", "99999999999999999999999": "--usd: above", "9223372036854775808": "--usd: above",
	} {
		fails(1, sentence, credit(usd, "bad")...)
	}
	for _, key := range []string{"", strings.Repeat("k", 195), strings.Repeat("я", 195)} {
		fails(1, "--idempotency-key has 1 to 194 characters", credit("1", key)...)
	}
	for _, id := range []string{"0", "-1", "4503599627370496", "99999999999999999999", "٧", "1.5"} {
		fails(2, "telegram-id", "admin", "credit", "--telegram-id="+id, "--usd=1", "--idempotency-key=bad")
	}
	fails(2, "--usd", "admin", "credit", "--telegram-id", "77", "--idempotency-key", "bad")
	for usd, sentence := range map[string]string{"-1": "not a decimal", "0": "--usd is from", "0.0000000001": "finer", "99999999999999999999": "above", "١٫٥": "not a decimal"} {
		s.fails(1, sentence, credit(usd, "bad")...)
	}
	s.fails(2, "--usd", "admin", "credit", "--telegram-id", "77", "--usd", "-1", "--idempotency-key", "bad")
	if opened := s.one(`select count(*) from accounts`); opened != 0 {
		t.Fatalf("%d accounts were opened by amounts that are none", opened)
	}

	// The same key with another amount changes nothing, and the first result stands.
	var first, again struct {
		accountAnswer
		TransactionID int64 `json:"transaction_id"`
		CreditNanoUSD int64 `json:"credit_nano_usd"`
		Replayed      bool  `json:"replayed"`
	}
	s.admin(&first, credit("0.000000001", strings.Repeat("я", 194))[1:]...)
	s.fails(1, "the --idempotency-key was used", credit("0.000000002", strings.Repeat("я", 194))...)
	s.fails(1, "the --idempotency-key was used", "admin", "credit", "--telegram-id", "78", "--usd", "0.000000001", "--idempotency-key", strings.Repeat("я", 194))
	s.admin(&again, credit("0.000000001", strings.Repeat("я", 194))[1:]...)
	if first.CreditNanoUSD != 1 || !again.Replayed || again.TransactionID != first.TransactionID || again.AvailableNanoUSD != 1 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	s.reconciled()
}

func (s *site) one(query string, args ...any) (n int64) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(s.t.Context(), query, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func nanoOf(t *testing.T, usd string) int64 {
	t.Helper()
	nano, err := billing.ParseUSD(usd)
	if err != nil {
		t.Fatalf("%q: %v", usd, err)
	}
	return nano
}

// TestE2ECatalogueWithoutPrice: a price that is missing is never free; the server does
// not start, and says which it is.
func TestE2ECatalogueWithoutPrice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for prices, sentence := range map[string]string{
		`{input: "0.15"}`:                            `model 2 ("priceless"): price output is missing ("0" says free)`,
		`{output: "0.60"}`:                           `model 2 ("priceless"): price input is missing ("0" says free)`,
		`{}`:                                         `price input is missing`,
		`null`:                                       `price output is missing`,
		`{input: "", output: "1"}`:                   `price input must be a decimal of USD, not ""`,
		`{input: null, output: "1"}`:                 `price input must be a decimal`,
		`{input: "-1", output: "1"}`:                 `price input must be a decimal of USD, not "-1"`,
		`{input: "1", output: "free"}`:               `price output must be a decimal of USD, not "free"`,
		`{input: "1", output: "NaN"}`:                `price output must be a decimal`,
		`{input: "1", output: "1e3"}`:                `price output must be a decimal`,
		`{input: "1", output: "١"}`:                  `price output must be a decimal`,
		`{input: "1", output: "1.0000000001"}`:       `price output must be a decimal`,
		`{input: "1", output: "1000001"}`:            `price output must be a decimal`,
		`{input: "1", output: "1", Output: "2"}`:     `unknown price "Output"`,
		`{input: "1", output: "1", reasoning: "-3"}`: `price reasoning must be a decimal`,
	} {
		text := fmt.Sprintf(siteCatalogue, s.model.URL())
		first, rest, _ := strings.Cut(text, "  - id: exact")
		text = first + "  - {id: priceless, prices: " + prices + ", context: 1000, max_output: 100, deployments: [{provider: sim, model: sim-fast}]}\n" +
			"  - id: exact" + rest
		path := filepath.Join(t.TempDir(), "priceless.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.env["CATALOG_FILE"] = path
		s.fails(1, sentence, "serve")
	}
}

// badUsages are what providers send in place of an honest usage.
var badUsages = map[string]string{
	"none":              llmsim.UsageNone,
	"null":              llmsim.UsageNull,
	"negative":          llmsim.UsageNegative,
	"huge":              llmsim.UsageHuge,
	"string":            llmsim.UsageString,
	"empty":             `{}`,
	"array":             `[1,2]`,
	"number":            `7`,
	"text":              `"12"`,
	"true":              `true`,
	"above 2^53":        `{"prompt_tokens":9007199254740993,"completion_tokens":9007199254740993}`,
	"beyond int64":      `{"prompt_tokens":99999999999999999999,"completion_tokens":99999999999999999999}`,
	"beyond a float":    `{"prompt_tokens":1e400,"completion_tokens":1e400}`,
	"below a float":     `{"prompt_tokens":-1e400,"completion_tokens":-1e400}`,
	"fractions":         `{"prompt_tokens":12.5,"completion_tokens":7.5}`,
	"negative zero":     `{"prompt_tokens":-0.5,"completion_tokens":-0.5}`,
	"nulls":             `{"prompt_tokens":null,"completion_tokens":null}`,
	"objects":           `{"prompt_tokens":{"n":12},"completion_tokens":[7]}`,
	"half":              `{"prompt_tokens":12}`,
	"one negative":      `{"prompt_tokens":12,"completion_tokens":-7}`,
	"cached exceeds":    `{"prompt_tokens":12,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":9007199254740993}}`,
	"cached negative":   `{"prompt_tokens":12,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":-9007199254740993}}`,
	"reasoning exceeds": `{"prompt_tokens":12,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":9223372036854775807}}`,
	"details of text":   `{"prompt_tokens":12,"completion_tokens":7,"prompt_tokens_details":"all","completion_tokens_details":[]}`,
	"NaN":               `{"prompt_tokens":NaN,"completion_tokens":NaN}`,
	"Infinity":          `{"prompt_tokens":Infinity,"completion_tokens":-Infinity}`,
}

// TestE2EBadUsage: whatever a provider says of the usage, what was delivered is billed:
// more than nothing, no more than was held, and to the nano-dollar as the client is told.
func TestE2EBadUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["CIRCUIT_BREAKER_FAILURE_THRESHOLD"] = "10000" // answers that are not JSON are not to end the test
	serve := s.serve()
	key := s.key(personID, "1")
	const maxTokens = 20
	// 12 words come; a prompt of this many bytes has no more tokens than that.
	const worst = 150*200 + 600*maxTokens // nano-USD
	var billed int64
	for name, usage := range badUsages {
		s.model.Assign("sim-echo", llmsim.Script{Tokens: 12, Usage: usage})
		for _, more := range []string{"", `,"stream":true`, `,"stream":true,"stream_options":{"include_usage":true}`} {
			before, _ := s.balance(key)
			status, body := s.send(http.MethodPost, "/v1/chat/completions", key,
				fmt.Sprintf(`{"model":"echo","max_tokens":%d,"messages":[{"role":"user","content":"hi"}]%s}`, maxTokens, more))
			var after, held int64
			s.until(startIn, "settled", func() bool {
				after, held = s.balance(key)
				return held == 0
			})
			cost := before - after
			billed += cost
			nonsense := name == "NaN" || name == "Infinity" // not even JSON
			switch {
			case nonsense && more == "":
				if status != http.StatusBadGateway || cost != 0 {
					t.Errorf("%s: %d, billed %d: %s", name, status, cost, body)
				}
				continue
			case status != http.StatusOK || cost <= 0 || cost > worst:
				t.Errorf("%s%s: %d, billed %d, at most %d can be: %s", name, more, status, cost, worst, body)
			}
			if more == "" {
				if told := gjson.Get(body, "usage.cost").Raw; nanoOf(t, told) != cost {
					t.Errorf("%s: billed %d, told %s", name, cost, told)
				}
			}
		}
	}
	serve.stop()
	spent, rows, strange := s.one(`select sum(captured_nano)::bigint from usage`), s.one(`select count(*) from usage`), s.one(
		`select count(*) from usage where prompt_tokens > 200 or completion_tokens > $1 or write_off_nano <> 0 or cost_nano <= 0`, maxTokens)
	if spent != billed || strange != 0 {
		t.Errorf("billed %d, the ledger has %d in %d rows, %d of them strange", billed, spent, rows, strange)
	}
	s.reconciled()
}
