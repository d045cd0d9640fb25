package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// calmLooks is how many looks in a row must find the replica at half of what it may be
	// behind before it is asked again, so that one at the edge is not turned to and from.
	calmLooks = 4
	// trailMost bounds what is remembered of the primary: two minutes of looks. A replica
	// that is further behind only seems more so.
	trailMost = 256
)

var (
	errPromoted = errors.New("the replica is no replica: it does not follow a primary")
	errStranger = errors.New("the replica follows another primary than DATABASE_URL's")
	errUnknown  = errors.New("the replica has not reached yet what the primary had at the first look")
)

// mark is a place in the primary's log of changes: all that was committed by that moment
// lies before it.
type mark struct {
	at  time.Time
	end int64 // bytes
}

// trail are marks in ascending order, the first the newest that the replica has reached,
// or not even that.
//
// A replica's own word of how old its last transaction is grows while the primary is idle,
// and is nothing while it does not hear of the primary. What the primary had at known
// moments, by the clock here, and what of it the replica has applied, holds in any case.
type trail []mark

func (t *trail) add(m mark) {
	if len(*t) == trailMost { // the oldest stays: from it the lag is counted
		*t = append((*t)[:1], (*t)[2:]...)
	}
	*t = append(*t, m)
}

// lag is how long before the newest mark the replica's state is, at most: what of the
// marks lies before end has been applied. False: it has not reached any of them.
func (t *trail) lag(end int64) (time.Duration, bool) {
	for len(*t) > 1 && (*t)[1].end <= end {
		*t = (*t)[1:]
	}
	if len(*t) == 0 || (*t)[0].end > end {
		return 0, false
	}
	return (*t)[len(*t)-1].at.Sub((*t)[0].at), true
}

// guard says whether a replica with that lag is to be asked.
type guard struct {
	most time.Duration
	near bool
	calm int // looks in a row at half the most or less
}

func (g *guard) judge(lag time.Duration, known bool) (near bool) {
	switch {
	case !known || lag > g.most:
		g.near, g.calm = false, 0
	case lag > g.most/2:
		g.calm = 0
	default:
		if g.calm++; g.calm >= calmLooks {
			g.near = true
		}
	}
	return g.near
}

// measure asks both servers. While the primary does not answer, nothing newer than at the
// last mark can be read anywhere, and the lag is counted from there.
func (r *Reads) measure(ctx context.Context) (time.Duration, error) {
	primary, primaryErr := r.place(ctx, r.primary, `select system_identifier, false, (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint from pg_control_system()`)
	if primaryErr == nil {
		r.trail.add(primary.mark)
		r.system = primary.system
	}
	replica, err := r.place(ctx, r.replica, `select system_identifier, pg_is_in_recovery(),
		coalesce((pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, 0) from pg_control_system()`)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look at the replica: %w", err)
	case !replica.follows:
		return 0, errPromoted
	case replica.system != r.system && r.system != 0:
		return 0, errStranger
	}
	lag, known := r.trail.lag(replica.end)
	if !known {
		return 0, errors.Join(errUnknown, primaryErr)
	}
	return lag, nil
}

// place is where a server is.
type place struct {
	mark

	system  int64 // names the primary's files and those of all its replicas
	follows bool  // it is a replica
}

func (r *Reads) place(ctx context.Context, pool *pgxpool.Pool, sql string) (p place, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookIn)
	defer cancel()
	p.at = r.now() // before it is asked: what is committed later may lie before the end, too
	err = pool.QueryRow(ctx, sql).Scan(&p.system, &p.follows, &p.end)
	return p, err
}
