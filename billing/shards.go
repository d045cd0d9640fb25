package billing

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

// Shards are the slices of all money, as operators work on them.
type Shards struct {
	redis    redis.Cmdable
	postgres *pgxpool.Pool
}

const actionShardsClosed = "shards.closed"

// Close takes every shard out of service until its owner has made it again from Postgres,
// with what its stream still has for the ledger. It is for a Postgres that is not the one
// that Redis followed: one restored from a backup knows less than Redis does, or, restored
// to a moment, something else, and nothing in Redis tells. Calls are refused meanwhile. It
// may be repeated.
func (s *Shards) Close(ctx context.Context, by Actor) error {
	err := postgres.InTx(ctx, s.postgres, func(tx pgx.Tx) error {
		return audit(ctx, tx, Entry{Actor: by, Action: actionShardsClosed})
	})
	if err != nil {
		return err
	}
	for shard := range stream.Shard(stream.Shards) {
		if err := s.redis.Del(ctx, epochKey(shard)).Err(); err != nil {
			return redisError("close the shard", err)
		}
	}
	return nil
}
