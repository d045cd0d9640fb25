package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Budget is what may be spent in a day and in a month, both UTC, in nano-USD; 0: no
// bound. It counts what calls are charged, and what is held for those under way.
//
// A budget that is set for the first time begins with what the ledger knows of the
// running day and month. What is still on its way there, and calls under way, do not
// count.
type Budget struct{ DayNano, MonthNano int64 }

// Scopes and periods of budgets.
const (
	BudgetKey          = "key"
	BudgetAccount      = "account"
	BudgetOrganisation = "organisation"
	BudgetDay          = "day"
	BudgetMonth        = "month"
)

// noBudget is the field of one that has a budget no more: what is spent is still
// counted, so that the next one knows.
const noBudget = "0|0"

const actionAccountBudget = "account.budget"

// BudgetError says which budget a call would exceed. errors.Is finds ErrBudget in it.
type BudgetError struct {
	Scope  string // BudgetKey, BudgetAccount or BudgetOrganisation
	Period string // BudgetDay or BudgetMonth
	Limit  int64  // nano-USD
	Spent  int64  // nano-USD in the period, with what is held
	Need   int64  // nano-USD
	Resets time.Time
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("billing: %d nano-USD needed, %d of the %s's %d for the %s are spent", e.Need, e.Spent, e.Scope, e.Limit, e.Period)
}

// Is makes errors.Is(err, ErrBudget) true.
func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// Left is what the budget still allows, in nano-USD.
func (e *BudgetError) Left() int64 { return max(0, e.Limit-e.Spent) }

// budgetError reads a status of reserve_plan.
func budgetError(status string, need int64) error {
	parts := strings.Split(status, "|")
	fault := fmt.Errorf("billing: unknown outcome %q of a reservation", status)
	if len(parts) != 6 {
		return fault
	}
	e := &BudgetError{Scope: parts[1], Period: parts[2], Need: need}
	var number int64
	for i, into := range []*int64{&e.Limit, &e.Spent, &number} {
		var err error
		if *into, err = strconv.ParseInt(parts[3+i], 10, 64); err != nil {
			return fault
		}
	}
	if e.Period == BudgetMonth {
		e.Resets = time.Date(int(number/12), time.Month(number%12+2), 1, 0, 0, 0, 0, time.UTC)
	} else {
		e.Resets = time.Unix((number+1)*secondsOfDay, 0).UTC()
	}
	return e
}

const secondsOfDay = 24 * 60 * 60

func (b Budget) check() error {
	if b.DayNano < 0 || b.DayNano > MaxNano || b.MonthNano < 0 || b.MonthNano > MaxNano {
		return ErrAmount
	}
	return nil
}

func (b Budget) details() map[string]any {
	return map[string]any{"day_nano_usd": b.DayNano, "month_nano_usd": b.MonthNano}
}

// budgetFields are a row's budget and, where it has one, what was spent, as Redis has
// them; text without any. The %s are the row's alias and what of the rollup is its.
const budgetFields = `
	case when coalesce(%[1]s.budget_day_nano, %[1]s.budget_month_nano) is null then ''
		else coalesce(%[1]s.budget_day_nano, 0) || '|' || coalesce(%[1]s.budget_month_nano, 0) end,
	case when coalesce(%[1]s.budget_day_nano, %[1]s.budget_month_nano) is null then '' else (
		select concat_ws('|',
			floor(extract(epoch from now()) / 86400)::bigint,
			coalesce(sum(captured_nano) filter (where hour >= date_trunc('day', now(), 'UTC')), 0)::bigint,
			extract(year from now() at time zone 'UTC')::bigint * 12 + extract(month from now() at time zone 'UTC')::bigint - 1,
			coalesce(sum(captured_nano), 0)::bigint)
		from usage_hourly h where %[2]s and hour >= date_trunc('month', now(), 'UTC')
	) end`

var (
	accountBudget = fmt.Sprintf(budgetFields, "a", "h.account_id = a.id")
	keyBudget     = fmt.Sprintf(budgetFields, "k", "h.account_id = k.account_id and h.key_id = k.id")
)

// SetBudget bounds what an account spends with all its keys and in its chat. It is in
// force when it returns; where Redis is away it is ErrClosed: the budget is recorded, and
// will be in force within a second of Redis' return. ErrAmount, ErrAccountUnknown.
func (a *Accounts) SetBudget(ctx context.Context, accountID int64, b Budget, by Actor) error {
	if err := b.check(); err != nil {
		return err
	}
	var told accountBudgeted
	err := postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			update accounts a set budget_day_nano = nullif($2::bigint, 0), budget_month_nano = nullif($3::bigint, 0),
				limits_seq = limits_seq + 1, projected_at = null, confirmed = false
			where id = $1 and status <> $4 returning `+budgetedFields,
			accountID, b.DayNano, b.MonthNano, StatusClosed).Scan(&told.ID, &told.Budget, &told.Spent, &told.Seq)
		if err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionAccountBudget, AccountID: accountID, Details: b.details()})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrAccountUnknown
	}
	if err != nil {
		return fmt.Errorf("set an account's budget: %w", err)
	}
	failpoint.Here("budget.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	// Not noted: the relay does, which tells all else that may have been changed besides.
	return a.projector.budget(ctx, told)
}

// Budget is the account's budget. ErrAccountUnknown.
func (a *Accounts) Budget(ctx context.Context, accountID int64) (b Budget, err error) {
	err = a.postgres.QueryRow(ctx, `select coalesce(budget_day_nano, 0), coalesce(budget_month_nano, 0)
		from accounts where id = $1`, accountID).Scan(&b.DayNano, &b.MonthNano)
	if errors.Is(err, pgx.ErrNoRows) {
		return Budget{}, ErrAccountUnknown
	}
	if err != nil {
		return Budget{}, fmt.Errorf("read an account's budget: %w", err)
	}
	return b, nil
}

// accountBudgeted is an account's budget as Redis is told of it.
type accountBudgeted struct {
	ID            int64
	Budget, Spent string // as Redis has them; empty: none
	Seq           int64  // of the changes of the account
}

// budgetedFields select an accountBudgeted of accounts a.
var budgetedFields = `a.id, ` + accountBudget + `, a.limits_seq`

// budget tells Redis of an account's budget. Who has no hash will be made from Postgres.
func (p *projector) budget(ctx context.Context, a accountBudgeted) error {
	status, err := p.scripts.budget.Run(ctx, p.redis, []string{EpochKey(a.ID), AcctKey(a.ID)}, a.Budget, a.Spent, a.Seq).Text()
	if err != nil {
		return redisError("project a budget", err)
	}
	switch status {
	case "closed":
		return ErrClosed
	case "missing":
		return errNoHash
	}
	failpoint.Here("budget.projected")
	return nil
}

// relayBudgets tells Redis of those accounts' budgets that it has otherwise.
func (o *owner) relayBudgets(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := o.postgres.Query(ctx, `select `+budgetedFields+` from accounts a where id = any($1)`, ids)
	if err != nil {
		return fmt.Errorf("read budgets: %w", err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accountBudgeted])
	if err != nil {
		return fmt.Errorf("read budgets: %w", err)
	}
	pipe := o.redis.Pipeline()
	known := make([]*redis.SliceCmd, len(accounts))
	for i, a := range accounts {
		known[i] = pipe.HMGet(ctx, AcctKey(a.ID), AccountFieldBudget, AccountFieldBudgetSeq)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return redisError("look for budgets", err)
	}
	for i, a := range accounts {
		was, _ := known[i].Val()[0].(string)
		seq, _ := known[i].Val()[1].(string)
		if budgetOf(was) == budgetOf(a.Budget) && (seq == decimal(a.Seq) || seq == "" && a.Seq == 0) {
			continue
		}
		if err := o.projector.budget(ctx, a); err != nil && !errors.Is(err, errNoHash) {
			return err
		}
	}
	return nil
}
