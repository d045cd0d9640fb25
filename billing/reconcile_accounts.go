package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/stream"
)

// accountBatch is a run of a shard's accounts as Redis had them.
type accountBatch struct {
	shard    stream.Shard
	epoch    string
	before   position // of Postgres, before the first look into Redis
	after    int64    // the newest transaction then
	accounts []hotAccount
	first    eventID // the newest event at the first look,
	end      eventID // and at the last
	begins   bool    // it is the first of its shard
	last     int64   // where the next one goes on
	more     bool
}

// hotAccount is an account's hash at one moment.
type hotAccount struct {
	id        int64
	told      toldAccount // what Postgres said before the look
	there     bool
	available int64
	held      int64
	creditSeq int64
	status    string
	budget    string
	tier, org string
	unread    string  // a field that is no number
	end       eventID // the newest event at that moment
}

// toldAccount is what Redis should have been told of an account. Every change of it
// forgets that it was confirmed.
type toldAccount struct {
	status    string
	budget    string
	tier, org string
	known     bool // Redis has had a hash of it
	confirmed bool // Redis was told all of this, twice
}

// accountTruth is an account in a snapshot of Postgres.
type accountTruth struct {
	known     bool
	told      toldAccount
	balance   int64
	creditSeq int64
	untold    int64 // credits above those that the hash has: their number
	untoldSum int64 // and their sum
	early     int64 // captured by events that it has, and the hash had not
}

// gather reads the next accounts of a shard in Redis. What Postgres says before that
// tells which hashes must be there, and bounds what was applied since.
func (r *reconciliation) gather(ctx context.Context, s stream.Shard, after int64) (*accountBatch, error) {
	b := &accountBatch{shard: s, begins: after == 0, last: after}
	batch := &pgx.Batch{}
	batch.Queue(`select epoch, last_ms, last_seq, (select coalesce(max(id), 0) from ledger_transactions)
		from stream_positions where shard = $1`, int16(s)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&b.before.epoch, &b.before.last.ms, &b.before.last.seq, &b.after)
	})
	batch.Queue(`select a.id, a.status, `+budgetText+`, coalesce(a.tier, ''), coalesce(a.organisation_id::text, ''), a.known, a.confirmed from accounts a
		where (a.id & 15) = $1 and a.id > $2 and ($3::bigint = 0 or a.id = $3) order by a.id limit $4`,
		int64(s), after, r.scope.Account, r.most).Query(func(rows pgx.Rows) error {
		var a hotAccount
		_, err := pgx.ForEachRow(rows, []any{&a.id, &a.told.status, &a.told.budget, &a.told.tier, &a.told.org, &a.told.known, &a.told.confirmed}, func() error {
			b.accounts = append(b.accounts, a)
			return nil
		})
		return err
	})
	if err := r.postgres.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	r.at("listed")
	if n := len(b.accounts); n > 0 {
		b.last, b.more = b.accounts[n-1].id, n == r.most
	}
	for from := 0; from == 0 || from < len(b.accounts); from += r.chunk {
		if err := r.look(ctx, b, b.accounts[from:min(from+r.chunk, len(b.accounts))]); err != nil {
			return nil, err
		}
	}
	r.at("looked")
	return b, nil
}

// look reads the hashes of a chunk, all at one moment.
func (r *reconciliation) look(ctx context.Context, b *accountBatch, chunk []hotAccount) error {
	keys := make([]string, len(chunk))
	for i := range chunk {
		keys[i] = AcctKey(chunk[i].id)
	}
	fields := []any{AccountFieldAvailable, AccountFieldHeld, AccountFieldCreditSeq, AccountFieldStatus, AccountFieldBudget,
		AccountFieldTier, AccountFieldOrg}
	epoch, end, values, err := r.readHashes(ctx, b.shard, keys, fields)
	if err != nil {
		return err
	}
	if epoch != strconv.FormatInt(b.before.epoch, 10) || b.epoch != "" && b.epoch != epoch {
		return &unsteadyError{inRedis: epoch, inPostgres: b.before.epoch}
	}
	if b.epoch == "" {
		b.epoch, b.first = epoch, end
	}
	b.end = end
	for i := range chunk {
		a := &chunk[i]
		v := values[i*len(fields) : (i+1)*len(fields)]
		a.end, a.status, a.budget, a.tier, a.org = end, v[3], v[4], v[5], v[6]
		a.there = slices.ContainsFunc(v, func(field string) bool { return field != "" })
		if !a.there {
			continue
		}
		for j, into := range []*int64{&a.available, &a.held, &a.creditSeq} {
			if *into, err = strconv.ParseInt(v[j], 10, 64); err != nil {
				a.unread = fmt.Sprintf("%s %q", fields[j], v[j])
			}
		}
	}
	return nil
}

// readHashes returns the shard's epoch and newest event, and the hashes' fields, as
// they are at one moment; what is not there is empty.
func (r *reconciliation) readHashes(ctx context.Context, s stream.Shard, keys []string, fields []any) (epoch string, end eventID, values []string, err error) {
	answer, err := r.hashes.Run(ctx, r.redis, append([]string{epochKey(s), evKey(s)}, keys...), fields...).StringSlice()
	if err != nil {
		return "", eventID{}, nil, redisError("read hashes", err)
	}
	if len(answer) != 2+len(keys)*len(fields) {
		return "", eventID{}, nil, fmt.Errorf("billing: %d values for %d hashes", len(answer), len(keys))
	}
	if answer[1] != "" {
		if end, err = parseEventID(answer[1]); err != nil {
			return "", eventID{}, nil, fmt.Errorf("billing: event id %q: %w", answer[1], err)
		}
	}
	return answer[0], end, answer[2:], nil
}

// compare holds a batch against the ledger. Only when all of it is sure does it tell
// what differs.
func (r *reconciliation) compare(ctx context.Context, b *accountBatch) error {
	var brokenAt *position // whose event was not in the stream; the next snapshot tells why
	for {
		truth, at, err := r.readTruth(ctx, b)
		if err != nil {
			return err
		}
		r.at("snapshot")
		if at.epoch != b.before.epoch {
			return &unsteadyError{inRedis: b.epoch, inPostgres: at.epoch}
		}
		rest, err := r.readUnapplied(ctx, b, at, brokenAt != nil && *brokenAt == at)
		if errors.Is(err, errTrimmed) {
			brokenAt = &at
			continue
		}
		if err != nil {
			return err
		}
		if b.end.before(b.before.last) {
			rest.lost = b.before.last.String()
		}
		if rest.lost != "" {
			rest.faults = append(rest.faults, Discrepancy{What: AboutStream, Shard: b.shard.String(), Subject: rest.lost,
				Expected: "the event in the stream", Found: "none"})
		}
		for _, d := range rest.faults {
			r.found(d)
		}
		if b.begins {
			r.checked.Events += rest.events // each batch of the shard reads them again
		}
		r.judge(b, truth, rest.captured)
		return nil
	}
}

// readTruth reads one snapshot of what the accounts should have, but for events that
// are in the stream alone.
func (r *reconciliation) readTruth(ctx context.Context, b *accountBatch) (truth map[int64]*accountTruth, at position, err error) {
	ids, seqs := make([]int64, len(b.accounts)), make([]int64, len(b.accounts))
	ends := make(map[int64]eventID, len(b.accounts))
	truth = make(map[int64]*accountTruth, len(b.accounts))
	for i, a := range b.accounts {
		ids[i], seqs[i], ends[a.id] = a.id, a.creditSeq, a.end
		truth[a.id] = &accountTruth{}
	}
	batch := &pgx.Batch{}
	batch.Queue(`select epoch, last_ms, last_seq from stream_positions where shard = $1`, int16(b.shard)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&at.epoch, &at.last.ms, &at.last.seq) })
	batch.Queue(`select a.id, a.status, `+budgetText+`, coalesce(a.tier, ''), coalesce(a.organisation_id::text, ''), a.known, a.confirmed, a.balance_nano, a.credit_seq from accounts a
		where a.id = any($1)`, ids).Query(func(rows pgx.Rows) error {
		var id int64
		var a accountTruth
		_, err := pgx.ForEachRow(rows, []any{&id, &a.told.status, &a.told.budget, &a.told.tier, &a.told.org, &a.told.known, &a.told.confirmed, &a.balance, &a.creditSeq}, func() error {
			truth[id] = &accountTruth{known: true, told: a.told, balance: a.balance, creditSeq: a.creditSeq}
			return nil
		})
		return err
	})
	batch.Queue(`select c.account_id, count(*), sum(c.amount_nano)::bigint
		from unnest($1::bigint[], $2::bigint[]) h (account_id, seq)
		join credits c on c.account_id = h.account_id and c.seq > h.seq group by c.account_id`, ids, seqs).
		Query(func(rows pgx.Rows) error {
			var id, n, sum int64
			_, err := pgx.ForEachRow(rows, []any{&id, &n, &sum}, func() error {
				truth[id].untold, truth[id].untoldSum = n, sum
				return nil
			})
			return err
		})
	// An event newer than the look was posted after it, so its transaction is newer than b.after.
	batch.Queue(`select t.account_id, t.stream_ms, t.stream_seq, e.amount_nano
		from ledger_transactions t join ledger_entries e on e.transaction_id = t.id and e.book = $6
		where t.id > $1 and t.shard = $2 and t.epoch = $3 and (t.stream_ms, t.stream_seq) > ($4, $5)`,
		b.after, int16(b.shard), b.before.epoch, b.first.ms, b.first.seq, bookCustomer).
		Query(func(rows pgx.Rows) error {
			var id, nano int64
			var event eventID
			_, err := pgx.ForEachRow(rows, []any{&id, &event.ms, &event.seq, &nano}, func() error {
				if end, ok := ends[id]; ok && end.before(event) {
					truth[id].early -= nano
				}
				return nil
			})
			return err
		})
	err = r.snapshot(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	if err != nil {
		return nil, position{}, fmt.Errorf("read the ledger: %w", err)
	}
	return truth, at, nil
}

// judge tells which accounts of the batch differ from the truth.
func (r *reconciliation) judge(b *accountBatch, truth map[int64]*accountTruth, unapplied map[int64]int64) {
	shard := b.shard.String()
	for i := range b.accounts {
		a, t := &b.accounts[i], truth[b.accounts[i].id]
		d := Discrepancy{Shard: shard, AccountID: a.id, ExpectedNano: t.balance - t.untoldSum - unapplied[a.id] + t.early}
		switch {
		case !t.known:
			d.What, d.Expected, d.Found = AboutAccount, "a row in Postgres", "none"
			r.found(d)
			continue
		case !a.there && !a.told.known:
			r.checked.Untold++
			continue
		case !a.there:
			d.What, d.Expected, d.Found = AboutAccount, "a hash in Redis", "none"
			d.ExpectedNano += t.untoldSum
			r.found(d)
			continue
		case a.unread != "":
			d.What, d.Expected, d.Found = AboutAccount, "numbers", a.unread
			r.found(d)
			continue
		}
		r.checked.Accounts++
		r.checked.Credits += t.untold
		if d.FoundNano = a.available + a.held; d.FoundNano != d.ExpectedNano {
			d.What = AboutBalance
			r.found(d)
		}
		if a.creditSeq+t.untold != t.creditSeq {
			r.found(Discrepancy{What: AboutCredits, Shard: shard, AccountID: a.id,
				Expected: fmt.Sprintf("%d credits", t.creditSeq), Found: fmt.Sprintf("%d told and %d to tell", a.creditSeq, t.untold)})
		}
		if a.told != t.told || !a.told.confirmed {
			continue
		}
		for _, f := range [][3]string{{AboutStatus, a.told.status, a.status}, {AboutBudget, a.told.budget, budgetOf(a.budget)},
			{AboutTier, a.told.tier, a.tier}, {AboutOrganisation, a.told.org, a.org}} {
			if f[1] != f[2] {
				r.found(Discrepancy{What: f[0], Shard: shard, AccountID: a.id, Expected: cmp.Or(f[1], "none"), Found: cmp.Or(f[2], "none")})
			}
		}
	}
}

// budgetText is the budget of a row a as Redis has it, but for those who never had one.
const budgetText = `coalesce(a.budget_day_nano, 0) || '|' || coalesce(a.budget_month_nano, 0)`

// budgetOf is a hash's field of that form.
func budgetOf(field string) string {
	if field == "" {
		return noBudget
	}
	return field
}
