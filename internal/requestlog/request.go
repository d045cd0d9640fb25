package requestlog

import (
	"math"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	maxName = 128 // characters of a model or deployment
	maxWord = 64  // characters of what else is text
)

// Request is what is kept of one request.
type Request struct {
	At         time.Time // its end
	ID         string
	AccountID  int64
	KeyID      int64 // 0: not known
	Operation  string
	Model      string // of the catalogue; "": none
	Deployment string // that answered, or was asked last; "": none
	Attempts   int
	Status     int
	ErrorCode  string // "": none
	Streamed   bool
	Cached     bool // answered without a provider
	FirstToken time.Duration
	Duration   time.Duration
	Prompt     int64 // tokens
	Completion int64 // tokens
	CostNano   int64 // nano-USD
	Client     string
}

// room is how many bytes a row takes, about.
const room = 280

// table are the requests as Postgres takes them. Nothing in them can make a batch fail.
func table(requests []Request) *postgres.Rows {
	rows := postgres.NewRows("requests", room*len(requests),
		"created_at", "request_id", "account_id", "key_id", "operation", "model", "deployment", "attempts", "status", "error_code",
		"streamed", "cached", "first_token_ms", "duration_ms", "prompt_tokens", "completion_tokens", "cost_nano", "client")
	for i := range requests {
		r := &requests[i]
		rows.Next()
		rows.Timestamptz(r.At)
		rows.Text(clean(r.ID, maxWord))
		rows.Bigint(r.AccountID)
		rows.Bigint(r.KeyID)
		rows.Text(clean(r.Operation, maxWord))
		rows.Text(clean(r.Model, maxName))
		rows.Text(clean(r.Deployment, maxName))
		rows.Integer(clamp(int64(r.Attempts)))
		rows.Integer(clamp(int64(r.Status)))
		rows.Text(clean(r.ErrorCode, maxWord))
		rows.Boolean(r.Streamed)
		rows.Boolean(r.Cached)
		rows.Integer(clamp(r.FirstToken.Milliseconds()))
		rows.Integer(clamp(r.Duration.Milliseconds()))
		rows.Bigint(r.Prompt)
		rows.Bigint(r.Completion)
		rows.Bigint(r.CostNano)
		rows.Text(clean(r.Client, maxWord))
	}
	return rows
}

func clamp(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }

// clean keeps the printable ASCII of a word, up to most characters: names are of such,
// and whatever else is in one did not come from us.
func clean(word string, most int) string {
	if len(word) <= most && printable(word) {
		return word
	}
	var kept strings.Builder
	for _, r := range word {
		if kept.Len() == most {
			break
		}
		if r > ' ' && r <= '~' {
			kept.WriteRune(r)
		}
	}
	return kept.String()
}

func printable(word string) bool {
	for i := range len(word) {
		if word[i] <= ' ' || word[i] > '~' {
			return false
		}
	}
	return true
}
