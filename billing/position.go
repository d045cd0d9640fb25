package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/stream"
)

// errMoved says that another owner moved the shard's position: whoever sees it
// has changed nothing and must look again.
var errMoved = errors.New("billing: the shard's position was moved by another owner")

// errLost says that Redis lost the shard, or part of it.
var errLost = errors.New("billing: redis lost the shard")

// position is how far Postgres has applied a shard's events.
type position struct {
	epoch int64
	last  eventID
}

func (e *Engine) readPosition(ctx context.Context, s stream.Shard) (position, error) {
	return readPosition(ctx, e.postgres, s)
}

func readPosition(ctx context.Context, pool *pgxpool.Pool, s stream.Shard) (p position, err error) {
	err = pool.QueryRow(ctx, `select epoch, last_ms, last_seq from stream_positions where shard = $1`,
		int16(s)).Scan(&p.epoch, &p.last.ms, &p.last.seq)
	if err != nil {
		return position{}, fmt.Errorf("read the position: %w", err)
	}
	return p, nil
}

const movePositionsSQL = `
	update stream_positions p set epoch = m.to_epoch, last_ms = m.to_ms, last_seq = m.to_seq, updated_at = now()
	from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
		as m (shard, epoch, ms, seq, to_epoch, to_ms, to_seq)
	where p.shard = m.shard and p.epoch = m.epoch and p.last_ms = m.ms and p.last_seq = m.seq`

// movePositions is the compare-and-set on which everything rests: of several
// owners that saw the same position of a shard, one moves it. errMoved where one of the
// portions was seen at another position, or stands in them twice.
func movePositions(ctx context.Context, tx pgx.Tx, portions []portion) error {
	shards := make([]int16, len(portions))
	var columns [6][]int64 // epoch, milliseconds and number: where each was seen, and where it goes
	for i, p := range portions {
		shards[i] = int16(p.shard)
		for c, n := range [...]int64{p.from.epoch, p.from.last.ms, p.from.last.seq, p.to.epoch, p.to.last.ms, p.to.last.seq} {
			columns[c] = append(columns[c], n)
		}
	}
	tag, err := tx.Exec(ctx, movePositionsSQL, shards, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5])
	if err != nil {
		return fmt.Errorf("move the position: %w", err)
	}
	if tag.RowsAffected() != int64(len(portions)) {
		return errMoved
	}
	return nil
}
