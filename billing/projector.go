package billing

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
)

const (
	// confirmAfter is longer than Redis keeps a write from its disk (AOF
	// everysec). What Postgres decided is projected at once, and once more after
	// this time: so a lost end of the append-only file loses no credit, brings
	// back no revoked key, and forgets no account.
	confirmAfter = 5 * time.Second
	// tombstoneLife is how long a revoked key outlives any projection under way.
	tombstoneLife = time.Hour
	// gapRun bounds the credits that one gap catches up with.
	gapRun = 1000
)

// projector tells Redis what Postgres decided. Each of its steps may be
// repeated, by anyone, in any order.
type projector struct {
	redis    redis.Cmdable
	postgres *pgxpool.Pool
	scripts  *scripts
}

// accountRow is what an account's hash is made from.
type accountRow struct {
	ID        int64
	Balance   int64 // nano-USD; to be trusted only when no event of the account is unapplied
	CreditSeq int64
	Status    string
	Name      string
	Budget    string // as Redis has it; empty: none
	Spent     string // the same

	Tier         string // empty: none
	Organisation string // its id; empty: none
	LimitsSeq    int64
}

// accountFields select an accountRow of accounts a.
var accountFields = `a.id, a.balance_nano, a.credit_seq, a.status, a.name, ` + accountBudget + `, ` + membershipFields

// told are the arguments by which Redis is told of an account.
func (a accountRow) told() []any {
	return []any{a.Balance, a.CreditSeq, a.Status, a.Name, a.Budget, a.Spent, a.Tier, a.Organisation, a.LimitsSeq}
}

// account creates the account's hash unless it exists, and notes it in Postgres.
func (p *projector) account(ctx context.Context, a accountRow) error {
	status, err := p.scripts.account.Run(ctx, p.redis, []string{EpochKey(a.ID), AcctKey(a.ID)},
		a.told()...).Text()
	if err != nil {
		return redisError("project an account", err)
	}
	if status == "closed" {
		return ErrClosed
	}
	failpoint.Here("account.projected")
	return p.note(ctx, "accounts", "id = $2 and limits_seq = $3", a.ID, a.LimitsSeq)
}

// credit applies the credit to the account's hash, after those before it.
func (p *projector) credit(ctx context.Context, account, seq, amount int64) error {
	seen, err := p.applyCredit(ctx, account, seq, amount)
	if err != nil {
		return err
	}
	if seen < seq {
		if err := p.catchUp(ctx, account, seen, seq); err != nil {
			return err
		}
	}
	failpoint.Here("credit.projected")
	announce(ctx, p.redis, newsOf(NewsLedger, account))
	return p.note(ctx, "credits", "account_id = $2 and seq <= $3", account, seq)
}

// applyCredit returns the last credit that the hash contains afterwards.
func (p *projector) applyCredit(ctx context.Context, account, seq, amount int64) (int64, error) {
	answer, err := p.scripts.credit.Run(ctx, p.redis, []string{EpochKey(account), AcctKey(account)}, seq, amount).StringSlice()
	if err != nil {
		return 0, redisError("project a credit", err)
	}
	switch answer[0] {
	case "closed":
		return 0, ErrClosed
	case "missing":
		return 0, errNoHash
	}
	seen, err := strconv.ParseInt(answer[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("billing: credit_seq of account %d: %w", account, err)
	}
	return seen, nil
}

func (p *projector) catchUp(ctx context.Context, account, seen, upTo int64) error {
	rows, err := p.postgres.Query(ctx, `
		select seq, amount_nano from credits where account_id = $1 and seq > $2 and seq <= $3 order by seq limit $4`,
		account, seen, upTo, gapRun)
	if err != nil {
		return fmt.Errorf("read missing credits: %w", err)
	}
	type credit struct{ Seq, AmountNano int64 }
	missing, err := pgx.CollectRows(rows, pgx.RowToStructByPos[credit])
	if err != nil {
		return fmt.Errorf("read missing credits: %w", err)
	}
	for _, c := range missing {
		if seen, err = p.applyCredit(ctx, account, c.Seq, c.AmountNano); err != nil {
			return err
		}
	}
	if seen < upTo {
		return fmt.Errorf("billing: account %d lacks credits after %d", account, seen)
	}
	return nil
}

// keyRecord is what a key's record in Redis is made from.
type keyRecord struct {
	ID        int64
	AccountID int64
	Locator   string
	MAC       string
	Limits    string // packed
	Name      string
	Revoked   bool
	Budget    string // as Redis has it; empty: none
	Spent     string // the same
	Seq       int64  // of the changes of all this
	Restrictions
}

// told are the arguments by which Redis is told of a usable key.
func (k keyRecord) told() []any {
	return []any{k.AccountID, k.ID, k.MAC, k.Limits, k.Name, k.Budget, k.Spent, k.Seq, k.packed()}
}

// keyFields select a keyRecord of api_keys k.
var keyFields = `k.id, k.account_id, k.locator, k.mac, ` + packedLimits + `, k.name,
	k.revoked_at is not null, ` + keyBudget + `, k.seq, ` + restrictionFields

// key makes Redis agree with the record.
func (p *projector) key(ctx context.Context, k keyRecord) error {
	record, tombstone := KeyKey(k.AccountID, k.Locator), goneKey(k.AccountID, k.Locator)
	if k.Revoked {
		err := p.scripts.revoke.Run(ctx, p.redis, []string{record, tombstone, AcctKey(k.AccountID)},
			tombstoneLife.Milliseconds(), k.ID).Err()
		if err != nil {
			return redisError("revoke an API key", err)
		}
	} else {
		status, err := p.scripts.key.Run(ctx, p.redis, []string{EpochKey(k.AccountID), record, tombstone, AcctKey(k.AccountID)},
			k.told()...).Text()
		if err != nil {
			return redisError("project an API key", err)
		}
		switch status {
		case "closed":
			return ErrClosed
		case "missing":
			return errNoHash
		}
	}
	if k.Revoked {
		failpoint.Here("revoke.projected")
	} else {
		failpoint.Here("key.projected")
	}
	// A key changed since it was read is not noted, so the relay comes back to it. One whose
	// revocation was told needs no number.
	return p.note(ctx, "api_keys", "id = $2 and (revoked_at is not null) = $3 and ($3 or seq = $4)", k.ID, k.Revoked, k.Seq)
}

// note records a projection: the first one by its time, one that comes
// confirmAfter later as confirmed.
func (p *projector) note(ctx context.Context, table, which string, args ...any) error {
	known := ""
	if table == "accounts" {
		known = "known = true, "
	}
	_, err := p.postgres.Exec(ctx, `update `+table+`
		set `+known+`projected_at = coalesce(projected_at, now()),
			confirmed = coalesce(projected_at <= now() - $1::interval, false)
		where not confirmed and `+which, append([]any{confirmAfter}, args...)...)
	if err != nil {
		return fmt.Errorf("note a projection: %w", err)
	}
	return nil
}
