package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// FeedPlace is how far somebody has been told of an account: the number of the last
// transaction, and sums that differ when keys or settings do.
type FeedPlace struct {
	Seq      int64
	Keys     string // 8 hexadecimal digits
	Settings string // the same
}

// FeedState is where an account stands now.
type FeedState struct {
	AccountID int64
	Status    string
	FeedPlace
}

// FeedCall is what a call was, of an entry that is one.
type FeedCall struct {
	Model     string
	Source    string
	KeyID     int64
	Input     int64 // tokens
	Output    int64 // tokens
	Estimated bool
}

// FeedEntry is a transaction of an account's ledger.
type FeedEntry struct {
	AccountID int64
	Seq       int64
	At        time.Time
	Kind      string    // of payments and the like: a kind of credit, refund, gift
	Nano      int64     // nano-USD that the balance changed by
	Stars     int64     // that were paid; 0: none
	Call      *FeedCall // nil: no call
}

// Feed reads what is new in accounts' ledgers. Those who are to hear of it at once listen
// on FeedChannel for when to read.
type Feed struct {
	redis    redis.UniversalClient
	postgres *pgxpool.Pool
}

// NewFeed connects to nothing.
func NewFeed(r redis.UniversalClient, pool *pgxpool.Pool) *Feed {
	return &Feed{redis: r, postgres: pool}
}

// Look returns where accounts stand, and which of the keys cannot be used any more. An
// account that Postgres does not have is not among the states.
func (f *Feed) Look(ctx context.Context, accounts, keys []int64) (states []FeedState, gone []int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`select a.id, a.status, a.ledger_seq, left(md5(k.seqs), 8), left(md5(s.changed), 8)
		from accounts a
		cross join lateral (select coalesce(string_agg(id || ':' || seq, ',' order by id), '') as seqs
			from api_keys where account_id = a.id and revoked_at is null) k
		cross join lateral (select coalesce(max(changed_at)::text, '') as changed from settings where account_id = a.id) s
		where a.id = any($1) order by a.id`, accounts).
		Query(func(rows pgx.Rows) (err error) {
			states, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s FeedState, err error) {
				err = row.Scan(&s.AccountID, &s.Status, &s.Seq, &s.Keys, &s.Settings)
				return s, err
			})
			return err
		})
	batch.Queue(`select k.id from unnest($1::bigint[]) w (id) join api_keys k on k.id = w.id
		where k.revoked_at is not null or k.expires_at <= now()`, keys).
		Query(func(rows pgx.Rows) (err error) {
			gone, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		})
	if err := f.postgres.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, fmt.Errorf("%w: look at accounts: %w", ErrClosed, err)
	}
	return states, gone, nil
}

// After returns the accounts' transactions above a number of each, by account and number,
// at most so many of each account.
func (f *Feed) After(ctx context.Context, accounts, above []int64, most int) ([]FeedEntry, error) {
	rows, err := f.postgres.Query(ctx, `
		select t.account_id, t.account_seq, t.created_at, coalesce(c.kind, t.kind), e.nano, coalesce(p.amount, 0),
			u.model, u.source, coalesce(u.key_id, 0), coalesce(u.prompt_tokens, 0), coalesce(u.completion_tokens, 0), coalesce(u.estimated, false)
		from unnest($1::bigint[], $2::bigint[]) w (account_id, seq)
		cross join lateral (select * from ledger_transactions where account_id = w.account_id and account_seq > w.seq
			order by account_seq limit $3) t
		cross join lateral (select coalesce(sum(amount_nano), 0)::bigint as nano from ledger_entries
			where transaction_id = t.id and created_at = t.created_at and book = 'customer') e
		left join lateral (select * from usage where transaction_id = t.id and created_at = t.created_at) u on t.kind = 'settle'
		left join lateral (select kind from credits where account_id = t.account_id
			and seq = case when t.kind = 'credit' then split_part(t.reference, ':', 3)::bigint end) c on true
		left join lateral (select amount from payments where c.kind = 'stars' and charge_id = t.memo ->> 'charge') p on true
		order by t.account_id, t.account_seq`, accounts, above, most)
	if err != nil {
		return nil, fmt.Errorf("%w: read what is new: %w", ErrClosed, err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e FeedEntry, err error) {
		var model, source *string
		var call FeedCall
		err = row.Scan(&e.AccountID, &e.Seq, &e.At, &e.Kind, &e.Nano, &e.Stars,
			&model, &source, &call.KeyID, &call.Input, &call.Output, &call.Estimated)
		if model != nil && source != nil {
			call.Model, call.Source = *model, *source
			e.Call = &call
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: read what is new: %w", ErrClosed, err)
	}
	return entries, nil
}

// Balances reads accounts' hot balances. An account that Redis does not have at present is
// not among them.
func (f *Feed) Balances(ctx context.Context, accounts []int64) (map[int64]Balance, error) {
	pipe := f.redis.Pipeline()
	read := make([]*redis.SliceCmd, len(accounts))
	for i, id := range accounts {
		read[i] = pipe.HMGet(ctx, AcctKey(id), AccountFieldAvailable, AccountFieldHeld)
	}
	if _, err := pipe.Exec(ctx); err != nil && len(accounts) > 0 {
		return nil, redisError("read balances", err)
	}
	balances := make(map[int64]Balance, len(accounts))
	for i, id := range accounts {
		var b Balance
		available, is := read[i].Val()[0].(string)
		held, _ := read[i].Val()[1].(string)
		if held == "" {
			held = "0"
		}
		var faults [2]error
		b.Available, faults[0] = strconv.ParseInt(available, 10, 64)
		b.Held, faults[1] = strconv.ParseInt(held, 10, 64)
		if is && errors.Join(faults[:]...) == nil {
			balances[id] = b
		}
	}
	return balances, nil
}
