package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// UsageFilter says which of an account's calls are meant.
type UsageFilter struct {
	AccountID int64
	From, To  time.Time // To is not in it
	Model     string    // this one's alone; "": any
	KeyID     *int64    // this one's alone, 0 for those without; nil: any
}

// Amounts are what calls consumed and cost.
type Amounts struct {
	Prompt     int64 // tokens
	Cached     int64 // of Prompt
	CacheWrite int64 // of Prompt
	Completion int64 // tokens
	Reasoning  int64 // of Completion
	Images     int64
	AudioMS    int64
	Characters int64
	Nano       int64 // what was taken from the balance
}

// UsageSum is what calls came to.
type UsageSum struct {
	Calls     int64
	Estimated int64 // of the calls: their tokens were counted here, as the provider told none
	Amounts
}

// Add adds another sum.
func (s *UsageSum) Add(other UsageSum) {
	s.Calls, s.Estimated = s.Calls+other.Calls, s.Estimated+other.Estimated
	s.Prompt, s.Cached, s.CacheWrite = s.Prompt+other.Prompt, s.Cached+other.Cached, s.CacheWrite+other.CacheWrite
	s.Completion, s.Reasoning = s.Completion+other.Completion, s.Reasoning+other.Reasoning
	s.Images, s.AudioMS, s.Characters = s.Images+other.Images, s.AudioMS+other.AudioMS, s.Characters+other.Characters
	s.Nano += other.Nano
}

// ConsumptionQuery asks what an account's calls came to in the parts of a time.
type ConsumptionQuery struct {
	UsageFilter
	Edges          []time.Time // of the parts between From and To, ascending; none: it is one part
	ByModel, ByKey bool
	Most           int // rows; 0: no bound
}

// Consumed is a row of it.
type Consumed struct {
	Part  int    // from 0
	Model string // by model
	KeyID int64  // by key
	UsageSum
}

// UsedCall is one call in the ledger.
type UsedCall struct {
	ID         int64 // of its transaction
	At         time.Time
	Model      string
	KeyID      int64
	Source     string
	Estimated  bool
	DurationMS int64
	FirstMS    int64 // until the first token; 0: not streamed
	Amounts
}

// UsedCallsQuery asks for a page of calls.
type UsedCallsQuery struct {
	UsageFilter
	Oldest  bool      // first; else the newest
	AfterAt time.Time // the page begins behind the call of this moment and id; zero: at the beginning
	AfterID int64
	Most    int
}

const usedCalls = `
select transaction_id, created_at, model, key_id, source, estimated, duration_ms, first_token_ms, prompt_tokens,
	cached_tokens + cached_input_audio_tokens, cache_write_tokens + cache_write_1h_tokens, completion_tokens,
	reasoning_tokens, images, audio_ms, characters, captured_nano
from usage
where account_id = $1 and created_at >= $2 and created_at < $3 and ($4::text = '' or model = $4) and ($5::bigint is null or key_id = $5)`

// UsedCalls is a page of an account's calls. ErrClosed.
func (l *Ledger) UsedCalls(ctx context.Context, q UsedCallsQuery) ([]UsedCall, error) {
	args := []any{q.AccountID, q.From, q.To, q.Model, q.KeyID, q.Most}
	sql, direction, behind := usedCalls, "desc", "<"
	if q.Oldest {
		direction, behind = "asc", ">"
	}
	if !q.AfterAt.IsZero() {
		sql += ` and (created_at, transaction_id) ` + behind + ` ($7, $8)`
		args = append(args, q.AfterAt, q.AfterID)
	}
	sql += fmt.Sprintf(` order by created_at %[1]s, transaction_id %[1]s limit $6`, direction)
	calls, err := readRows(ctx, l.reads, q.follows, pgx.RowToStructByPos[UsedCall], sql, args...)
	if err != nil {
		return nil, databaseError("read calls", err)
	}
	return calls, nil
}
