package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kikuai/kikuai/internal/stream"
)

// compareHolds holds the shard's live holds against what its accounts say they hold,
// all at one moment. With all, these are the accounts that have a live hold and the
// named ones; else the named ones.
func (r *reconciliation) compareHolds(ctx context.Context, s stream.Shard, accounts []int64, all bool) error {
	scope := 0
	if all {
		scope = 1
	}
	args := make([]any, 0, 4+len(accounts))
	args = append(args, s.Key("hold")+":", s.Key("acct")+":", r.live, scope)
	for _, id := range accounts {
		args = append(args, id)
	}
	answer, err := r.holds.Run(ctx, r.redis, []string{epochKey(s), expKey(s)}, args...).Slice()
	if err != nil {
		return redisError("read holds", err)
	}
	look, err := holdsOf(answer)
	if err != nil {
		return err
	}
	at, err := readPosition(ctx, r.postgres, s)
	if err != nil {
		return err
	}
	if look.epoch != strconv.FormatInt(at.epoch, 10) {
		return &unsteadyError{inRedis: look.epoch, inPostgres: at.epoch}
	}
	if look.live > r.live { // Redis would stand still for too long; all else is compared
		r.skip(s, look.live)
		return nil
	}
	if all {
		r.checked.Holds += look.live
		for _, id := range look.dead {
			r.found(Discrepancy{What: AboutHold, Shard: s.String(), Subject: id, Expected: "a live hold", Found: "none"})
		}
	}
	for i := 0; i+2 < len(look.differ); i += 3 {
		id, sum, err := twoInts(look.differ[i], look.differ[i+1])
		if err != nil {
			return fmt.Errorf("billing: live holds of account %q: %w", look.differ[i], err)
		}
		d := Discrepancy{What: AboutHeld, Shard: s.String(), AccountID: id, ExpectedNano: sum}
		if d.FoundNano, err = strconv.ParseInt(look.differ[i+2], 10, 64); err != nil {
			d.Expected, d.Found = "held "+look.differ[i+1], strconv.Quote(look.differ[i+2])
		}
		r.found(d)
	}
	return nil
}

// skip notes, once for a shard, that its live holds were not held against its accounts.
func (r *reconciliation) skip(s stream.Shard, live int64) {
	if n := len(r.skipped); n > 0 && r.skippedLast == s {
		return
	}
	r.skippedLast = s
	r.skipped = append(r.skipped, fmt.Errorf(
		"billing: shard %s has %d live holds, and at most %d can be added up at one moment: they were not held against what its accounts hold, and all else was",
		s, live, r.live))
}

// holdsLook is the answer of read_holds.lua.
type holdsLook struct {
	epoch  string
	live   int64
	dead   []string
	differ []string
}

func holdsOf(answer []any) (look holdsLook, err error) {
	fault := errors.New("billing: the look at the holds answered in another form")
	if len(answer) != 4 {
		return look, fault
	}
	var ok [2]bool
	look.epoch, ok[0] = answer[0].(string)
	look.live, ok[1] = answer[1].(int64)
	if !ok[0] || !ok[1] {
		return look, fault
	}
	for i, into := range []*[]string{&look.dead, &look.differ} {
		list, isList := answer[2+i].([]any)
		if !isList {
			return look, fault
		}
		for _, value := range list {
			text, isText := value.(string)
			if !isText {
				return look, fault
			}
			*into = append(*into, text)
		}
	}
	return look, nil
}
