package billing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	stewardEvery = time.Second
	stewardIn    = 10 * time.Second // for one look
	// reviewEvery is how often all organisations of a shard are told again and held
	// against the ledger, and not those alone that were changed or missed.
	reviewEvery = 10 * time.Second
	tellMost    = 100 // organisations of one script call, which others wait for
)

// steward looks after what a shard knows of limits: it tells it of tiers and of its
// organisations, makes anew what Redis lost of those, and resolves the claims of calls
// that nobody ended. It works beside the drain, not in it: what it needs of other shards
// must not hold up this one's money.
type steward struct {
	*Engine
	shard    stream.Shard
	log      *slog.Logger
	reviewed time.Time
	told     map[int64]int64 // organisation → the seq that this steward told last
	missing  map[int64]bool  // organisations without a hash
	ends     *streamEnds     // noted when the last of those was missed
	absent   map[string]time.Time
	ailing   bool // a failure was logged and no success since
}

func (e *Engine) newSteward(s stream.Shard) *steward {
	return &steward{Engine: e, shard: s, log: e.log.With("shard", s.String()),
		told: map[int64]int64{}, missing: map[int64]bool{}, absent: map[string]time.Time{}}
}

// run looks around until ctx ends.
func (w *steward) run(ctx context.Context) {
	tick := time.NewTicker(stewardEvery)
	defer tick.Stop()
	for {
		looking, cancel := context.WithTimeout(ctx, stewardIn)
		err := w.look(looking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !w.ailing:
			w.ailing = true
			w.log.WarnContext(ctx, "shard's limits stand still", "err", err)
		case err == nil && w.ailing:
			w.ailing = false
			w.log.InfoContext(ctx, "shard's limits move again")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *steward) look(ctx context.Context) error {
	if err := w.tellTiers(ctx, w.shard, false); err != nil {
		return err
	}
	if err := w.tellOrganisations(ctx); err != nil {
		return err
	}
	if err := w.restoreOrganisations(ctx); err != nil {
		return err
	}
	return w.resolveClaims(ctx)
}

// tellTiers tells a shard of all tiers: of those that it has not, or has an older word
// of, unless all of it is to be told.
func (e *Engine) tellTiers(ctx context.Context, s stream.Shard, all bool) error {
	rows, err := e.postgres.Query(ctx, `select `+tierFields+` from tiers order by name`)
	if err != nil {
		return fmt.Errorf("read tiers: %w", err)
	}
	records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[tierRecord])
	if err != nil {
		return fmt.Errorf("read tiers: %w", err)
	}
	return e.projector.tiers(ctx, s, records, all)
}

// restoreLimits tells a closed shard, before it is opened, of tiers, and of those
// organisations that it still has a hash of: their claims stand, and what they spent is at
// least what the ledger says. The others are made anew by the steward.
func (o *owner) restoreLimits(ctx context.Context) error {
	if err := o.tellTiers(ctx, o.shard, true); err != nil {
		return err
	}
	for after := int64(0); ; {
		records, err := o.readOrganisations(ctx, `(o.id & 15) = $1 and o.id > $2 order by o.id limit $3`, int64(o.shard), after, tellMost)
		if err != nil || len(records) == 0 {
			return err
		}
		if _, err := o.projector.organisations(ctx, records, true, false); err != nil {
			return err
		}
		after = records[len(records)-1].ID
	}
}

func (e *Engine) readOrganisations(ctx context.Context, where string, args ...any) ([]organisationRecord, error) {
	rows, err := e.postgres.Query(ctx, `select `+organisationFields+` from organisations o where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read organisations: %w", err)
	}
	records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[organisationRecord])
	if err != nil {
		return nil, fmt.Errorf("read organisations: %w", err)
	}
	return records, nil
}
