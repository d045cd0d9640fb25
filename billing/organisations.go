package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// StatusSuspended is the status of an organisation whose accounts may not spend.
const StatusSuspended = "suspended"

const (
	maxOrganisationName = 64 // characters

	actionOrganisationMade = "organisation.created"
	actionOrganisationSet  = "organisation.set"
	actionOrganisationIn   = "organisation.added"
	actionOrganisationOut  = "organisation.removed"
)

// Organisations are several accounts under one limit and one budget. Postgres has them;
// Redis has each on the shard of its id, not on those of its accounts, whose hashes name it.
//
// A call of such an account asks the organisation first: OrganisationLua says how, and
// what its budget and the account's hold have to do with each other.
type Organisations struct {
	redis     redis.Cmdable
	postgres  *pgxpool.Pool
	scripts   *scripts
	projector *projector
}

// Organisation is several accounts under one limit and one budget.
type Organisation struct {
	ID       int64
	Name     string
	Status   string // StatusActive or StatusSuspended
	Limits   Limits
	Budget   Budget
	Spent    Budget // in the running day and month, by the ledger
	Accounts int64
}

// OrganisationChange changes what is given.
type OrganisationChange struct {
	Limits      LimitChange
	BudgetDay   *int64 // nano-USD, UTC; 0: no bound
	BudgetMonth *int64
	Status      string // "": as it is
}

func (c OrganisationChange) of(o Organisation) (Organisation, error) {
	o.Limits = c.Limits.Of(o.Limits)
	if c.BudgetDay != nil {
		o.Budget.DayNano = *c.BudgetDay
	}
	if c.BudgetMonth != nil {
		o.Budget.MonthNano = *c.BudgetMonth
	}
	if c.Status != "" {
		o.Status = c.Status
	}
	if o.Status != StatusActive && o.Status != StatusSuspended {
		return o, ErrOrganisationStatus
	}
	return o, errors.Join(o.Limits.check(), o.Budget.check())
}

func (o Organisation) details() map[string]any {
	details := o.Limits.details()
	for name, value := range o.Budget.details() {
		details[name] = value
	}
	details["organisation_id"], details["status"] = o.ID, o.Status
	return details
}

func validOrganisationName(name string) bool {
	return utf8.ValidString(name) && strings.TrimSpace(name) == name && name != "" &&
		utf8.RuneCountInString(name) <= maxOrganisationName && !strings.ContainsFunc(name, unicode.IsControl)
}

// Create makes an organisation without accounts. Where Redis is away it is ErrClosed: the
// organisation is recorded, and Redis is told within a second of its return.
// ErrOrganisationName, ErrOrganisationExists, ErrLimits, ErrAmount.
func (o *Organisations) Create(ctx context.Context, name string, change OrganisationChange, by Actor) (Organisation, error) {
	if !validOrganisationName(name) {
		return Organisation{}, ErrOrganisationName
	}
	made, err := change.of(Organisation{Name: name, Status: StatusActive})
	if err != nil {
		return Organisation{}, err
	}
	var record organisationRecord
	err = postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		l := made.Limits
		rows, err := tx.Query(ctx, `insert into organisations as o (name, status, requests_per_minute, tokens_per_minute,
				concurrency, refill_milli, burst, budget_day_nano, budget_month_nano)
			values ($1, $2, $3, $4, $5, $6, $7, nullif($8::bigint, 0), nullif($9::bigint, 0)) returning `+organisationFields,
			made.Name, made.Status, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst,
			made.Budget.DayNano, made.Budget.MonthNano)
		if err != nil {
			return err
		}
		if record, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[organisationRecord]); err != nil {
			return err
		}
		made.ID = record.ID
		return audit(ctx, tx, Entry{Actor: by, Action: actionOrganisationMade, Details: made.details()})
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		return Organisation{}, ErrOrganisationExists
	}
	if err != nil {
		return Organisation{}, fmt.Errorf("create an organisation: %w", err)
	}
	return made, o.told(ctx, record, true)
}

// Set changes what is given. It is in force when it returns; where Redis is away it is
// ErrClosed: the change is recorded, and will be in force within a second of Redis'
// return. ErrOrganisationUnknown, ErrOrganisationStatus, ErrLimits, ErrAmount.
func (o *Organisations) Set(ctx context.Context, id int64, change OrganisationChange, by Actor) (Organisation, error) {
	var set Organisation
	var record organisationRecord
	err := postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		found, err := findOrganisations(ctx, tx, `o.id = $1 for no key update`, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrOrganisationUnknown
		}
		if set, err = change.of(found[0]); err != nil {
			return err
		}
		l := set.Limits
		rows, err := tx.Query(ctx, `update organisations o set status = $2, requests_per_minute = $3, tokens_per_minute = $4,
				concurrency = $5, refill_milli = $6, burst = $7, budget_day_nano = nullif($8::bigint, 0),
				budget_month_nano = nullif($9::bigint, 0), seq = seq + 1
			where id = $1 returning `+organisationFields,
			id, set.Status, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst,
			set.Budget.DayNano, set.Budget.MonthNano)
		if err != nil {
			return err
		}
		if record, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[organisationRecord]); err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionOrganisationSet, Details: set.details()})
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("set an organisation: %w", err)
	}
	return set, o.told(ctx, record, false)
}

// told tells Redis of an organisation that was just changed. One whose hash is gone is
// left to its shard's owner, who knows what it spent.
func (o *Organisations) told(ctx context.Context, record organisationRecord, fresh bool) error {
	failpoint.Here("organisation.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	missing, err := o.projector.organisations(ctx, []organisationRecord{record}, false, fresh)
	if err == nil && len(missing) > 0 {
		err = errNoOrganisation
	}
	failpoint.Here("organisation.projected")
	return err
}

// List returns all organisations by their ids.
func (o *Organisations) List(ctx context.Context) ([]Organisation, error) {
	return findOrganisations(ctx, o.postgres, `true order by o.id`)
}

// Of is the organisation that an account belongs to. ErrNoMember, ErrClosed.
func (o *Organisations) Of(ctx context.Context, accountID int64) (Organisation, error) {
	found, err := findOrganisations(ctx, o.postgres, `o.id = (select organisation_id from accounts where id = $1)`, accountID)
	switch {
	case err != nil:
		return Organisation{}, databaseError("find an account's organisation", err)
	case len(found) == 0:
		return Organisation{}, ErrNoMember
	}
	return found[0], nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func findOrganisations(ctx context.Context, from querier, where string, args ...any) ([]Organisation, error) {
	rows, err := from.Query(ctx, `select o.id, o.name, o.status, coalesce(o.budget_day_nano, 0), coalesce(o.budget_month_nano, 0),
		`+organisationSpent("sum(captured_nano) filter (where day >= "+today+")")+`,
		`+organisationSpent("sum(captured_nano)")+`,
		(select count(*) from accounts where organisation_id = o.id), `+limitFields+` from organisations o where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("find organisations: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Organisation, err error) {
		return o, row.Scan(append([]any{&o.ID, &o.Name, &o.Status, &o.Budget.DayNano, &o.Budget.MonthNano,
			&o.Spent.DayNano, &o.Spent.MonthNano, &o.Accounts}, o.Limits.scan()...)...)
	})
	if err != nil {
		return nil, fmt.Errorf("find organisations: %w", err)
	}
	return found, nil
}

// Add makes an account one of the organisation's. It is in force when it returns, for
// calls that begin afterwards; where Redis is away it is ErrClosed: it is recorded, and
// will be in force within a second of Redis' return. Repeating it is harmless.
// ErrOrganisationUnknown, ErrAccountUnknown, ErrMember.
func (o *Organisations) Add(ctx context.Context, id, accountID int64, by Actor) error {
	return o.move(ctx, id, accountID, by, true)
}

// Remove makes an account none of the organisation's any more, in the same way as Add.
// ErrOrganisationUnknown, ErrAccountUnknown, ErrNoMember.
func (o *Organisations) Remove(ctx context.Context, id, accountID int64, by Actor) error {
	return o.move(ctx, id, accountID, by, false)
}

func (o *Organisations) move(ctx context.Context, id, accountID int64, by Actor, in bool) error {
	var m membership
	err := postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, `select exists (select from organisations where id = $1)`, id).Scan(&known); err != nil {
			return err
		}
		if !known {
			return ErrOrganisationUnknown
		}
		var of int64
		err := tx.QueryRow(ctx, `select coalesce(organisation_id, 0) from accounts where id = $1 and status <> $2 for no key update`,
			accountID, StatusClosed).Scan(&of)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrAccountUnknown
		}
		if err != nil {
			return err
		}
		action, to := actionOrganisationIn, id
		switch {
		case in && of != 0 && of != id:
			return fmt.Errorf("%w: %d", ErrMember, of)
		case !in && of != id:
			return ErrNoMember
		case !in:
			action, to = actionOrganisationOut, 0
		}
		if m, err = changeMembership(ctx, tx, accountID, `organisation_id = nullif($2::bigint, 0)`, to); err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: action, AccountID: accountID, Details: map[string]any{"organisation_id": id}})
	})
	if err != nil {
		return fmt.Errorf("change an organisation's accounts: %w", err)
	}
	return o.projector.member(ctx, m)
}

// organisationRecord is what Redis is told of an organisation.
type organisationRecord struct {
	ID     int64
	Limits string // packed
	Status string
	Budget string // as Redis has it; empty: none
	Spent  string // the same, by the ledger
	Seq    int64
}

// today is the number of the running day, since 1970, UTC.
const today = `floor(extract(epoch from now()) / 86400)::integer`

// organisationSpent selects a sum of an organisation o over the running month. A day that
// is yet to come counts: Redis' clock, which named it, may be ahead.
func organisationSpent(sum string) string {
	return `(select coalesce(` + sum + `, 0)::bigint from organisation_days d
		where d.organisation_id = o.id and day >= (date_trunc('month', now() at time zone 'UTC')::date - date '1970-01-01'))`
}

// organisationFields select an organisationRecord of organisations o.
var organisationFields = `o.id, ` + packedLimits + `, o.status,
	case when coalesce(o.budget_day_nano, o.budget_month_nano) is null then ''
		else coalesce(o.budget_day_nano, 0) || '|' || coalesce(o.budget_month_nano, 0) end,
	concat_ws('|', ` + today + `, ` + organisationSpent("sum(captured_nano) filter (where day >= "+today+")") + `,
		extract(year from now() at time zone 'UTC')::bigint * 12 + extract(month from now() at time zone 'UTC')::bigint - 1,
		` + organisationSpent("sum(captured_nano)") + `), o.seq`

// organisations tells Redis of organisations of one shard: of those that it has an older
// word of, unless all is to be told. It returns those that have no hash, unless they are
// to be made.
func (p *projector) organisations(ctx context.Context, records []organisationRecord, all, fresh bool) (missing []int64, err error) {
	if len(records) == 0 {
		return nil, nil
	}
	keys, args := make([]string, 0, len(records)), []any{all, fresh}
	for _, r := range records {
		keys, args = append(keys, OrganisationKey(r.ID)), append(args, r.Limits, r.Status, r.Budget, r.Spent, r.Seq)
	}
	places, err := p.scripts.organisations.Run(ctx, p.redis, keys, args...).Int64Slice()
	if err != nil {
		return nil, redisError("project organisations", err)
	}
	for _, place := range places {
		missing = append(missing, records[place-1].ID)
	}
	return missing, nil
}
