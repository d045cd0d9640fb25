package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
)

// membership is which tier and which organisation an account has, and whether it may
// spend, as Redis is told.
type membership struct {
	Account      int64
	Tier         string // empty: none
	Organisation string // its id; empty: none
	Seq          int64
	Status       string
}

// membershipFields select a membership of accounts a, but for the account and its status.
const membershipFields = `coalesce(a.tier, ''), coalesce(a.organisation_id::text, ''), a.limits_seq`

// changeMembership changes a usable account inside tx. ErrAccountUnknown.
func changeMembership(ctx context.Context, tx pgx.Tx, accountID int64, set string, arg any) (membership, error) {
	m := membership{Account: accountID}
	err := tx.QueryRow(ctx, `update accounts a set `+set+`, limits_seq = limits_seq + 1, projected_at = null, confirmed = false
		where id = $1 and status <> '`+StatusClosed+`' returning `+membershipFields+`, a.status`, accountID, arg).
		Scan(&m.Tier, &m.Organisation, &m.Seq, &m.Status)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, ErrAccountUnknown
	}
	return m, err
}

// member tells Redis of a membership that was just decided.
func (p *projector) member(ctx context.Context, m membership) error {
	failpoint.Here("membership.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	// Not noted: the relay does, which tells all else that may have been changed besides.
	if err := p.membership(ctx, m); err != nil {
		return err
	}
	failpoint.Here("membership.projected")
	return nil
}

// membership tells Redis of an account's tier, organisation and status. Who has no hash will be
// made from Postgres.
func (p *projector) membership(ctx context.Context, m membership) error {
	status, err := p.scripts.membership.Run(ctx, p.redis, []string{EpochKey(m.Account), AcctKey(m.Account)},
		m.Tier, m.Organisation, m.Seq, m.Status).Text()
	if err != nil {
		return redisError("project a membership", err)
	}
	switch status {
	case "closed":
		return ErrClosed
	case "missing":
		return errNoHash
	}
	return nil
}

// relayMemberships tells Redis of those accounts' tiers, organisations and statuses that
// it has otherwise.
func (o *owner) relayMemberships(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := o.postgres.Query(ctx, `select id, `+membershipFields+`, a.status from accounts a where id = any($1)`, ids)
	if err != nil {
		return fmt.Errorf("read memberships: %w", err)
	}
	members, err := pgx.CollectRows(rows, pgx.RowToStructByPos[membership])
	if err != nil {
		return fmt.Errorf("read memberships: %w", err)
	}
	pipe := o.redis.Pipeline()
	known := make([]*redis.SliceCmd, len(members))
	for i, m := range members {
		known[i] = pipe.HMGet(ctx, AcctKey(m.Account), AccountFieldTier, AccountFieldOrg, AccountFieldLimitsSeq, AccountFieldStatus)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return redisError("look for memberships", err)
	}
	for i, m := range members {
		was := membership{Account: m.Account}
		fields := known[i].Val()
		was.Tier, _ = fields[0].(string)
		was.Organisation, _ = fields[1].(string)
		seq, _ := fields[2].(string)
		was.Status, _ = fields[3].(string)
		if was.Seq = m.Seq; was == m && (seq == decimal(m.Seq) || seq == "" && m.Seq == 0) {
			continue
		}
		if err := o.projector.membership(ctx, m); err != nil && !errors.Is(err, errNoHash) {
			return err
		}
	}
	return nil
}
