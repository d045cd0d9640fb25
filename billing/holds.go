package billing

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

const (
	// keepHold is how long a resolved hold answers repeats.
	keepHold = 10 * time.Minute
	// keepChatHold outlives every redelivery of the update that a chat's hold
	// is named after.
	keepChatHold = 48 * time.Hour

	maxHoldLife = 24 * time.Hour

	maxHoldID = 128
	maxModel  = 200 // characters
)

// States of a hold.
const (
	HoldHeld     = "held"
	HoldSettled  = "settled"
	HoldReleased = "released"
)

// Sources of a call. A chat's is the fingerprint of its reservations, too, so that a hold
// can be written anew that Redis has lost.
const (
	SourceAPI      = "api"
	SourceTelegram = "telegram"
	SourceApp      = "app" // the Mini App's playground
)

// Holds reserves money for calls and resolves the reservations. Redis decides;
// every method is one round trip and may be repeated. Only what Redis does not know
// any more, or settled by itself, is decided in Postgres.
type Holds struct {
	redis    redis.Cmdable
	postgres *pgxpool.Pool
	scripts  *scripts
	metrics  *metrics
}

// Reservation asks for money, in nano-USD.
type Reservation struct {
	HoldID      string // unique for ever; 1 to 128 of A-Z a-z 0-9 . _ : -
	AccountID   int64
	KeyID       int64  // 0: no key, a chat
	Want        int64  // the worst case
	Least       int64  // what suffices when the balance is below Want; equal to Want: all or nothing
	Fingerprint string // what a repeat must repeat; empty: the fields above
	KeyLocator  string // of the key's record, for its budget; empty: none counts
	// Life is how long the hold stands, by Redis' clock, unless a checkpoint gives it
	// another life: a millisecond to a day.
	Life time.Duration
}

// Hold is a reservation as it stands.
type Hold struct {
	ID        string
	AccountID int64
	State     string // HoldHeld, or how an earlier call of the same id ended
	Nano      int64  // held, or captured when settled
	Available int64  // of the account afterwards; 0 for a repeat
	Replayed  bool
}

// ReserveOutcome reads the status and number that reserve_plan returned. need is
// what the caller cannot do without, told in a *PoorError or a *BudgetError.
func ReserveOutcome(status string, n, need int64) (state string, replayed bool, err error) {
	switch status {
	case "ok":
		return HoldHeld, false, nil
	case HoldHeld, HoldSettled, HoldReleased:
		return status, true, nil
	case "conflict":
		return "", false, ErrHoldConflict
	case "poor":
		return "", false, &PoorError{Need: need, Available: n}
	case "inactive":
		return "", false, ErrAccountInactive
	case "missing":
		return "", false, errNoHash
	case "closed":
		return "", false, ErrClosed
	}
	return "", false, budgetError(status, need)
}

// ValidHoldID reports whether id may name a hold.
func ValidHoldID(id string) bool {
	if id == "" || len(id) > maxHoldID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isBase62(id[i:i+1]) && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return true
}

// Reserve moves money from available to held, or changes nothing. A repeat
// returns what the first call did. Errors: *PoorError, *BudgetError,
// ErrAccountInactive, ErrHoldConflict, ErrHoldID, ErrHoldLife, ErrAmount, ErrClosed;
// after ErrClosed the hold may exist, and Release makes sure that it does not.
func (h *Holds) Reserve(ctx context.Context, r Reservation) (Hold, error) {
	if !ValidHoldID(r.HoldID) {
		return Hold{}, ErrHoldID
	}
	if r.Want < 0 || r.Want > MaxNano || r.Least < 0 || r.Least > r.Want {
		return Hold{}, ErrAmount
	}
	if !validLife(r.Life) {
		return Hold{}, ErrHoldLife
	}
	if r.Fingerprint == "" {
		r.Fingerprint = fingerprint(r.AccountID, r.KeyID, r.Want, r.Least)
	}
	keys := []string{EpochKey(r.AccountID), AcctKey(r.AccountID), HoldKey(r.AccountID, r.HoldID), ExpKey(r.AccountID)}
	if r.KeyLocator != "" {
		keys = append(keys, KeyKey(r.AccountID, r.KeyLocator))
	}
	answer, err := h.scripts.hold.Run(ctx, h.redis, keys,
		r.HoldID, r.Fingerprint, r.Want, r.Least, r.Life.Milliseconds(), r.AccountID, r.KeyID).Slice()
	if err != nil {
		return Hold{}, redisError("reserve", err)
	}
	var numbers [2]int64
	status, err := statusAnd(numbers[:], answer)
	if err != nil {
		return Hold{}, err
	}
	state, replayed, err := ReserveOutcome(status, numbers[0], r.Least)
	if err != nil {
		return Hold{}, err
	}
	return Hold{ID: r.HoldID, AccountID: r.AccountID, State: state, Nano: numbers[0], Available: numbers[1], Replayed: replayed}, nil
}

func validLife(life time.Duration) bool { return life >= time.Millisecond && life <= maxHoldLife }

// Settlement says what a held call came to.
type Settlement struct {
	HoldID            string
	AccountID, KeyID  int64 // as reserved
	Cost              int64 // nano-USD, 0 … MaxNano
	Held              int64 // nano-USD; bounds what is taken should Redis have lost the hold; 0: Cost
	Gift              bool  // nothing was held: should Redis have lost the hold, nothing is taken
	Usage             Usage
	Model, Deployment string
	Source            string // SourceAPI, SourceTelegram or SourceApp
	Organisation      int64  // whose budget the call was counted in, if it has one; 0: none
	OrganisationDay   int64  // when it was: days since 1970, as organisation_plan said
	Duration          time.Duration
	FirstToken        time.Duration // until the first token; 0: not streamed
}

// check refuses what cannot be settled. ErrHoldID, ErrAmount.
func (s *Settlement) check() error {
	if !ValidHoldID(s.HoldID) {
		return ErrHoldID
	}
	if s.Cost < 0 || s.Cost > MaxNano || s.Held < 0 || s.Held > MaxNano {
		return ErrAmount
	}
	return nil
}

// Captured says what a settlement took.
type Captured struct {
	Nano      int64 // taken from the hold, never more than it
	WriteOff  int64 // cost beyond the hold: the house's loss
	Available int64 // of the account afterwards
	Replayed  bool  // the hold had been settled before, with these arguments
	// Late says that Redis does not know the hold any more, or has not said so: Nano is
	// what will be taken, as far as the account has it, and Available is not known.
	Late bool
}

// Settle resolves a hold by the cost of its call: the event for the ledger is
// appended first, then the balances change, in one script. A repeat returns the
// first result, for ten minutes after it (two days for a chat).
//
// A hold that Redis lost, or is about to lose with its closed shard, is settled late,
// through Postgres, once under its id. One
// that passed its deadline was resolved by what its last checkpoint said, and is not
// taken again: what the call cost beyond that is written off, once, and the error is
// a *HoldExpiredError. Errors besides: ErrHoldUnknown (there is no such account),
// ErrHoldConflict, ErrHoldID, ErrAmount, ErrClosed; after ErrClosed the caller repeats.
func (h *Holds) Settle(ctx context.Context, s Settlement) (Captured, error) {
	if err := s.check(); err != nil {
		return Captured{}, err
	}
	w := writtenOf(&s)
	answer, err := h.scripts.settle.Run(ctx, h.redis,
		[]string{EpochKey(s.AccountID), AcctKey(s.AccountID), HoldKey(s.AccountID, s.HoldID), ExpKey(s.AccountID),
			evKey(shardOf(s.AccountID))},
		s.HoldID, s.AccountID, s.KeyID, s.Cost, w.mark, w.payload, w.keep.Milliseconds()).Slice()
	if err != nil {
		return Captured{}, redisError("settle", err)
	}
	var numbers [3]int64
	status, err := statusAnd(numbers[:], answer)
	if err != nil {
		return Captured{}, err
	}
	switch status {
	case "unknown", "closed": // before a closed shard opens again, its holds are wiped
		return h.settleLate(ctx, s, w.payload)
	case "expired":
		return Captured{}, h.settleExpired(ctx, s, HoldExpiredError{Captured: numbers[0], WriteOff: numbers[1], Available: numbers[2]})
	}
	if err := resolution(status); err != nil {
		return Captured{}, err
	}
	c := Captured{Nano: numbers[0], WriteOff: numbers[1], Available: numbers[2], Replayed: status == "replayed"}
	if !c.Replayed {
		h.metrics.settled.Inc()
		h.metrics.writeOff.Add(float64(c.WriteOff))
	}
	return c, nil
}

// written is what a settlement leaves in Redis besides numbers.
type written struct {
	mark    string        // what a repeat must repeat
	payload []byte        // of the event
	keep    time.Duration // how long a repeat is answered
}

func writtenOf(s *Settlement) written {
	s.Usage = s.Usage.Clamped()
	counts := s.Usage.counts()
	w := written{mark: fingerprint(append(counts[:], s.Cost)...) + s.Source, payload: encodePayload(s), keep: keepHold}
	if s.Source == SourceTelegram {
		w.keep = keepChatHold
	}
	return w
}

// SettleSeveral settles several holds of one account, up to 64, in one round trip: all of
// them as [Holds.Settle] would, in their order, or none. Errors: ErrUncommon, when nothing was
// done because one of them is bad or not the common case; ErrClosed, after which the caller
// repeats each by itself.
func (h *Holds) SettleSeveral(ctx context.Context, all []Settlement) ([]Captured, error) {
	if len(all) == 0 {
		return nil, nil
	}
	account := all[0].AccountID
	keys := append(make([]string, 0, 4+len(all)), EpochKey(account), AcctKey(account), ExpKey(account), evKey(shardOf(account)))
	args := append(make([]any, 0, 1+6*len(all)), account)
	for i := range all {
		s := all[i]
		if s.AccountID != account || s.check() != nil {
			return nil, ErrUncommon
		}
		w := writtenOf(&s)
		keys = append(keys, HoldKey(account, s.HoldID))
		args = append(args, s.HoldID, s.KeyID, s.Cost, w.mark, w.payload, w.keep.Milliseconds())
	}
	after, err := h.scripts.settleSeveral.Run(ctx, h.redis, keys, args...).Int64Slice()
	switch {
	case err != nil:
		return nil, redisError("settle several", err)
	case len(after) == 0:
		return nil, ErrUncommon
	case len(after) != len(all):
		return nil, fmt.Errorf("billing: a script settled %d holds of %d", len(after), len(all))
	}
	captured := make([]Captured, len(all))
	for i := range all {
		captured[i] = Captured{Nano: all[i].Cost, Available: after[i]}
	}
	h.metrics.settled.Add(float64(len(all)))
	return captured, nil
}

// Release gives a hold back whole: the call did not happen. Repeating it is
// harmless. Errors: ErrHoldUnknown (also once the record of a resolved hold is
// gone), ErrHoldConflict when it was settled, ErrClosed.
func (h *Holds) Release(ctx context.Context, accountID int64, holdID string) error {
	status, err := h.scripts.release.Run(ctx, h.redis,
		[]string{EpochKey(accountID), AcctKey(accountID), HoldKey(accountID, holdID), ExpKey(accountID)},
		holdID, accountID, keepHold.Milliseconds()).Text()
	if err != nil {
		return redisError("release", err)
	}
	return resolution(status)
}

// resolution translates the status of a script that resolves or renews a hold.
func resolution(status string) error {
	switch status {
	case HoldSettled, HoldReleased, "replayed", "marked":
		return nil
	case "unknown":
		return ErrHoldUnknown
	case "conflict":
		return ErrHoldConflict
	case "missing":
		return errNoHash
	case "closed":
		return ErrClosed
	}
	return fmt.Errorf("billing: unknown outcome %q of a hold", status)
}

// fingerprint condenses numbers to 16 characters, to tell a repeat from a
// different request under the same id.
func fingerprint(numbers ...int64) string {
	var text [256]byte
	line := text[:0]
	for _, n := range numbers {
		line = append(strconv.AppendInt(line, n, 36), '.')
	}
	sum := sha256.Sum256(line)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// statusAnd reads a script's answer: a status, then numbers.
func statusAnd(numbers []int64, answer []any) (string, error) {
	if len(answer) == 1+len(numbers) {
		status, ok := answer[0].(string)
		for i := range numbers {
			n, isInt := answer[i+1].(int64)
			numbers[i], ok = n, ok && isInt
		}
		if ok {
			return status, nil
		}
	}
	return "", fmt.Errorf("billing: a script answered %v", answer)
}

func twoInts(a, b string) (x, y int64, err error) {
	if x, err = strconv.ParseInt(a, 10, 64); err != nil {
		return 0, 0, err
	}
	y, err = strconv.ParseInt(b, 10, 64)
	return x, y, err
}
