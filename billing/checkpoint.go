package billing

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// checkpointsMost bounds the commands that one pipeline of checkpoints holds.
const checkpointsMost = 512

// Mark is how far a call has come whose money is held.
type Mark struct {
	Settlement               // what the call would come to if it ended here
	Life       time.Duration // how long the hold stands from now on, by Redis' clock
	RenewOnly  bool          // nothing was produced yet: what the hold knows stays as it is
}

// Checkpoint tells Redis how far calls have come and gives their holds another life,
// all in one go. A hold that then passes its deadline is settled by its last mark,
// and one without a mark is released; of two marks the one that cost more stands.
//
// It returns an error for each mark, nil where it was taken: ErrHoldUnknown (Redis
// lost it; its call settles late), ErrHoldConflict (it was resolved, or is another's),
// ErrHoldID, ErrHoldLife, ErrAmount, ErrClosed.
func (h *Holds) Checkpoint(ctx context.Context, marks []Mark) []error {
	faults := make([]error, len(marks))
	for from := 0; from < len(marks); from += checkpointsMost {
		to := min(from+checkpointsMost, len(marks))
		h.checkpoint(ctx, marks[from:to], faults[from:to])
	}
	return faults
}

// checkpoint tells a run of marks. A server that does not know the script is taught
// it by the shard's first mark in a second pipeline.
func (h *Holds) checkpoint(ctx context.Context, marks []Mark, faults []error) {
	asked := make([]checkpointArgs, 0, len(marks))
	for i := range marks {
		args, err := argsOf(&marks[i])
		if faults[i] = err; err == nil {
			args.index = i
			asked = append(asked, args)
		}
	}
	for teach := range 2 {
		var again []checkpointArgs
		var taught [stream.Shards]bool
		pipe := h.redis.Pipeline()
		answers := make([]*redis.Cmd, len(asked))
		for i, a := range asked {
			if s := shardOf(a.account); teach == 1 && !taught[s] {
				taught[s] = true
				answers[i] = h.scripts.checkpoint.Eval(ctx, pipe, a.keys, a.args...)
				continue
			}
			answers[i] = h.scripts.checkpoint.EvalSha(ctx, pipe, a.keys, a.args...)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for i, a := range asked {
			status, err := answers[i].Text()
			if teach == 0 && redis.HasErrorPrefix(err, "NOSCRIPT") {
				again = append(again, a)
				continue
			}
			if err = redisError("checkpoint", err); err == nil {
				err = checkpointed(status)
			}
			faults[a.index] = err
		}
		if asked = again; len(asked) == 0 {
			return
		}
	}
}

// checkpointed translates the script's status.
func checkpointed(status string) error {
	if status == HoldSettled || status == HoldReleased {
		return ErrHoldConflict
	}
	return resolution(status)
}

type checkpointArgs struct {
	index   int // of the mark
	account int64
	keys    []string
	args    []any
}

func argsOf(m *Mark) (a checkpointArgs, err error) {
	switch {
	case !ValidHoldID(m.HoldID):
		return a, ErrHoldID
	case !validLife(m.Life):
		return a, ErrHoldLife
	case m.Cost < 0 || m.Cost > MaxNano:
		return a, ErrAmount
	}
	var payload []byte
	if !m.RenewOnly {
		s := m.Settlement
		s.Usage = s.Usage.Clamped()
		payload = encodePayload(&s)
	}
	a.account = m.AccountID
	a.keys = []string{EpochKey(m.AccountID), HoldKey(m.AccountID, m.HoldID), ExpKey(m.AccountID), markKey(m.AccountID, m.HoldID)}
	a.args = []any{m.HoldID, m.AccountID, m.KeyID, m.Life.Milliseconds(), m.Cost, payload}
	return a, nil
}
