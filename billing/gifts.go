package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Bounds of gifts.
const (
	GiftLeast = NanoPerUSD / 100 // nano-USD
	GiftMost  = 100 * NanoPerUSD
	GiftLife  = 7 * 24 * time.Hour // then what nobody took goes back
	GiftsOpen = 20                 // of one giver at a time

	giftsAtOnce = 100 // returned by one look
)

// Gifts are money that one account gives and another takes by a link.
//
// Giving is a debit, so Redis decides it: all of the amount or nothing, event first. The
// gift's row in Postgres, written before, is no more than a wish until the ledger has the
// transaction that the event becomes, from the giver's book into the book of gifts. What
// the ledger has not is neither taken nor returned, so that an event which Redis lost
// leaves the money with its giver and a link that leads nowhere.
//
// Taking and returning are credits, so Postgres decides them: one credit of the gift's
// name, from the book of gifts, in the transaction that settles the row.
type Gifts struct {
	redis    redis.Cmdable
	postgres *pgxpool.Pool
	scripts  *scripts
	accounts *Accounts
	log      *slog.Logger
	peppers  []*pepper
	least    int64 // nano-USD of a gift
}

// Wish is a gift to be made.
type Wish struct {
	AccountID  int64  // who gives
	AmountNano int64  // GiftLeast … GiftMost
	Name       string // 1 … 200 characters; the same name of an account is one gift, for ever
}

// Gift is a gift as Postgres has it.
type Gift struct {
	ID         int64
	AccountID  int64 // who gave it
	AmountNano int64
	Expires    time.Time
	Code       string // who has it may take the gift; at most 50 characters of A-Z a-z 0-9 -
	CreditedTo int64  // the account that it went to, perhaps back to the giver's; 0: none yet
}

// Give takes the amount from the giver's balance and returns the gift that it became.
// A repetition of the same name returns the same gift and takes nothing.
// Errors: ErrAmount, ErrIdempotencyKey, ErrIdempotencyConflict, *GiftBoundError, ErrGiftLimit,
// *PoorError, ErrAccountInactive, ErrAccountUnknown, ErrClosed.
func (g *Gifts) Give(ctx context.Context, w Wish) (Gift, error) {
	if w.AmountNano < g.least || w.AmountNano > GiftMost {
		return Gift{}, ErrAmount
	}
	if w.Name == "" || cleanText(w.Name, maxIdempotencyKey) != w.Name {
		return Gift{}, ErrIdempotencyKey
	}
	var gift Gift
	try := func() error {
		return postgres.InTx(ctx, g.postgres, func(tx pgx.Tx) (err error) {
			gift, err = wish(ctx, tx, w)
			return err
		})
	}
	err := try()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		err = try() // another wrote it meanwhile: now it is seen
	}
	if err != nil {
		return Gift{}, databaseError("wish for a gift", err)
	}
	failpoint.Here("gifts.wished")
	if gift.CreditedTo == 0 {
		if err := g.take(ctx, gift); err != nil {
			return Gift{}, err
		}
		failpoint.Here("gifts.given")
	}
	gift.Code = g.code(gift.ID)
	return gift, nil
}

// wish writes the gift down inside tx, or finds it. A gift that was found too dear lives
// again when it is asked for again, if it may be given then.
func wish(ctx context.Context, tx pgx.Tx, w Wish) (gift Gift, err error) {
	gift = Gift{AccountID: w.AccountID}
	var stands bool // it is settled, alive, or older than any gift becomes
	err = tx.QueryRow(ctx, `select id, amount_nano, expires_at, coalesce(credited_to, 0),
		settled_at is not null or expires_at > now() or created_at + $3::interval <= now()
		from gifts where account_id = $1 and name = $2 for update`, w.AccountID, w.Name, GiftLife).
		Scan(&gift.ID, &gift.AmountNano, &gift.Expires, &gift.CreditedTo, &stands)
	known := err == nil
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return gift, err
	case known && gift.AmountNano != w.AmountNano:
		return gift, ErrIdempotencyConflict
	case stands:
		return gift, nil
	}
	if err := mayGive(ctx, tx, w); err != nil {
		return Gift{}, err
	}
	if known {
		err = tx.QueryRow(ctx, `update gifts set expires_at = created_at + $2::interval where id = $1 returning expires_at`, gift.ID, GiftLife).
			Scan(&gift.Expires)
		return gift, err
	}
	gift.AmountNano = w.AmountNano
	err = tx.QueryRow(ctx, `insert into gifts (account_id, name, amount_nano, expires_at)
		values ($1, $2, $3, now() + $4::interval) returning id, expires_at`, w.AccountID, w.Name, w.AmountNano, GiftLife).
		Scan(&gift.ID, &gift.Expires)
	return gift, err
}

// mayGive holds a giver to what gifts are made of: money that was bought or given to
// them, never the house's own presents, which each new account gets.
func mayGive(ctx context.Context, tx pgx.Tx, w Wish) error {
	// A statement of its own, so that what follows it sees all that the lock waited for.
	err := tx.QueryRow(ctx, `select from accounts where id = $1 for no key update`, w.AccountID).Scan()
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrAccountUnknown
	}
	var open, own int64
	if err == nil {
		err = tx.QueryRow(ctx, `select
			(select count(*) from gifts where account_id = $1 and settled_at is null and expires_at > now()),
			(select coalesce(sum(amount_nano), 0) from credits where account_id = $1 and kind in ('stars', 'card', 'adjustment'))::bigint
			- (select coalesce(sum(credit_nano), 0) from payments where account_id = $1 and refunded > 0)::bigint
			+ (select coalesce(sum(amount_nano), 0) from gifts where credited_to = $1 and settled_at is not null and account_id <> $1)::bigint
			- (select coalesce(sum(amount_nano), 0) from gifts where account_id = $1 and credited_to is distinct from $1
				and (settled_at is not null or expires_at > now()))::bigint`, w.AccountID).Scan(&open, &own)
	}
	switch {
	case err != nil:
		return err
	case own < w.AmountNano:
		return &GiftBoundError{Most: max(0, own)}
	case open >= GiftsOpen:
		return ErrGiftLimit
	}
	return nil
}

// take has Redis take the gift's amount from the giver, once:
//
//   - what was taken in an epoch before the one read here is in the ledger, or lost with
//     its event, since a rebuild applies what the stream still has;
//   - what was taken in this one has left its marker, and in another one nothing is taken.
func (g *Gifts) take(ctx context.Context, gift Gift) error {
	epoch, err := g.redis.Get(ctx, EpochKey(gift.AccountID)).Result()
	if errors.Is(err, redis.Nil) {
		return ErrClosed
	}
	if err != nil {
		return redisError("read the epoch", err)
	}
	reference := giftReference(gift.ID)
	var funded bool
	err = g.postgres.QueryRow(ctx, `select exists (select from ledger_transactions where reference = $1)`, reference).Scan(&funded)
	if err != nil || funded {
		return databaseError("look for a gift in the ledger", err)
	}
	keys := []string{EpochKey(gift.AccountID), AcctKey(gift.AccountID), takenKey(gift.AccountID, reference), evKey(shardOf(gift.AccountID))}
	answer, err := g.scripts.give.Run(ctx, g.redis, keys, reference, gift.AccountID, gift.AmountNano, keepTaken.Milliseconds(), epoch).Slice()
	if err != nil {
		return redisError("take a gift", err)
	}
	var available [1]int64
	status, err := statusAnd(available[:], answer)
	if err != nil {
		return err
	}
	switch status {
	case "given", "replayed":
		return nil
	case "poor":
		return g.refuse(ctx, gift, &PoorError{Need: gift.AmountNano, Available: available[0]})
	case "inactive":
		return g.refuse(ctx, gift, ErrAccountInactive)
	case "missing":
		return errNoHash
	}
	return ErrClosed
}

// refuse ends a wish that Redis did not fulfil. Should another have fulfilled it at the
// same moment, what it took goes back to the giver.
func (g *Gifts) refuse(ctx context.Context, gift Gift, why error) error {
	_, err := g.postgres.Exec(ctx, `update gifts set expires_at = now() where id = $1 and settled_at is null`, gift.ID)
	if err != nil {
		return databaseError("end a wish", err)
	}
	return why
}

// Open returns the gifts of an account that nobody has taken yet, the oldest first.
func (g *Gifts) Open(ctx context.Context, accountID int64) ([]Gift, error) {
	return g.list(ctx, `g.account_id = $1 and g.settled_at is null and g.expires_at > now()
		and exists (select from ledger_transactions where reference = 'gift:' || g.id) order by g.id limit `+strconv.Itoa(GiftsOpen), accountID)
}

func (g *Gifts) list(ctx context.Context, where string, args ...any) ([]Gift, error) {
	rows, err := g.postgres.Query(ctx, `select g.id, g.account_id, g.amount_nano, g.expires_at, coalesce(g.credited_to, 0) from gifts g where `+where, args...)
	if err != nil {
		return nil, databaseError("read gifts", err)
	}
	gifts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (gift Gift, err error) {
		err = row.Scan(&gift.ID, &gift.AccountID, &gift.AmountNano, &gift.Expires, &gift.CreditedTo)
		gift.Code = g.code(gift.ID)
		return gift, err
	})
	return gifts, databaseError("read gifts", err)
}

// giftReference names the ledger transaction that takes a gift from its giver, and the
// credit that gives it on.
func giftReference(id int64) string { return "gift:" + strconv.FormatInt(id, 10) }

// GiftBoundError says that an account may give away less than was asked for.
type GiftBoundError struct{ Most int64 } // nano-USD

func (e *GiftBoundError) Error() string {
	return fmt.Sprintf("billing: %d nano-USD of the account's own money are left to give", e.Most)
}
