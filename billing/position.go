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

// movePosition is the compare-and-set on which everything rests: of several
// owners that saw the same position, one moves it.
func movePosition(ctx context.Context, tx pgx.Tx, s stream.Shard, from, to position) error {
	tag, err := tx.Exec(ctx, `
		update stream_positions set epoch = $5, last_ms = $6, last_seq = $7, updated_at = now()
		where shard = $1 and epoch = $2 and last_ms = $3 and last_seq = $4`,
		int16(s), from.epoch, from.last.ms, from.last.seq, to.epoch, to.last.ms, to.last.seq)
	if err != nil {
		return fmt.Errorf("move the position: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return errMoved
	}
	return nil
}
