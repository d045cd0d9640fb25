package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// errTrimmed says that events are gone from the stream which a snapshot of Postgres
// had not: Postgres has applied them since.
var errTrimmed = errors.New("billing: events were trimmed")

// unapplied is what the stream has and a snapshot of Postgres had not.
type unapplied struct {
	captured map[int64]int64 // by account, of the events in its hash
	events   int64
	lost     string // the last applied event, if the stream goes on without it
	faults   []Discrepancy
}

// readUnapplied adds up the events after the position that are in the batch's hashes.
// The stream must begin with the last applied event, the proof that nothing between
// was trimmed; with broken it is known to be lost for good.
func (r *reconciliation) readUnapplied(ctx context.Context, b *accountBatch, at position, broken bool) (u unapplied, err error) {
	if !at.last.before(b.end) {
		return u, nil
	}
	ends := make(map[int64]eventID, len(b.accounts))
	for _, a := range b.accounts {
		ends[a.id] = a.end
	}
	u.captured = make(map[int64]int64)
	for seen := at.last; seen.before(b.end); {
		page, err := r.redis.XRangeN(ctx, evKey(b.shard), seen.String(), b.end.String(), batchMost+1).Result()
		if err != nil {
			return u, redisError("read events", err)
		}
		r.at("streamed")
		switch {
		case seen.zero():
		case len(page) > 0 && page[0].ID == seen.String():
			page = page[1:]
		case broken && seen == at.last:
			u.lost = seen.String()
		default:
			return u, errTrimmed
		}
		if len(page) == 0 {
			if !broken {
				return u, errTrimmed
			}
			u.lost = b.end.String()
			return u, nil
		}
		if seen, err = u.add(b, ends, page); err != nil {
			return u, err
		}
	}
	if at.last.zero() { // no event stands before the first: the position must tell
		now, err := readPosition(ctx, r.postgres, b.shard)
		if err != nil {
			return u, err
		}
		if now != at {
			return u, errTrimmed
		}
	}
	return u, nil
}

// add takes a page of events in and returns the last one's id.
func (u *unapplied) add(b *accountBatch, ends map[int64]eventID, page []redis.XMessage) (id eventID, err error) {
	for _, m := range page {
		if id, err = parseEventID(m.ID); err != nil {
			return id, fmt.Errorf("billing: event id %q: %w", m.ID, err)
		}
		u.events++
		account, captured, err := moneyOf(m, b.epoch)
		if err != nil {
			u.faults = append(u.faults, Discrepancy{What: AboutStream, Shard: b.shard.String(), Subject: m.ID,
				Expected: "an event of epoch " + b.epoch, Found: err.Error()})
			continue
		}
		if end, ok := ends[account]; ok && !end.before(id) {
			u.captured[account] += captured
		}
	}
	return id, nil
}

// moneyOf reads whose and how much an event is, whatever else it says.
func moneyOf(m redis.XMessage, epoch string) (account, captured int64, err error) {
	t := tell(m)
	if t.epoch != epoch {
		return 0, 0, fmt.Errorf("of epoch %q", t.epoch)
	}
	if account, captured, err = twoInts(t.account, t.captured); err != nil {
		return 0, 0, errors.New("unreadable")
	}
	return account, captured, nil
}
