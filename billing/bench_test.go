package billing

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// BenchmarkReserveSettle is the money of one call: two round trips.
func BenchmarkReserveSettle(b *testing.B) {
	for _, piped := range []bool{false, true} {
		b.Run(fmt.Sprintf("autopipeline=%v", piped), func(b *testing.B) {
			client := testenv.RedisServer(b).ClientWith(redis.Options{PoolSize: 64, MaxRetries: -1})
			r := newRig(b, client)
			desk := r.desk
			if piped {
				pipe, err := client.AutoPipeline()
				r.must(err)
				config := r.config
				config.Redis = pipe
				desk, err = New(config)
				r.must(err)
			}
			accounts := make([]int64, 64)
			for i := range accounts {
				accounts[i] = r.account(MaxCredit)
			}
			var worker, calls atomic.Int64
			b.SetParallelism(64 / 2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				account := accounts[worker.Add(1)%64]
				for pb.Next() {
					id := strconv.FormatInt(calls.Add(1), 10)
					if _, err := desk.Holds.Reserve(b.Context(), reservation(account, id, 1000)); err != nil {
						b.Error(err)
						return
					}
					if _, err := desk.Holds.Settle(b.Context(), settlement(account, id, 700)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkDrain measures how fast a backlog of sixteen shards reaches Postgres.
func BenchmarkDrain(b *testing.B) {
	r := newRig(b, testenv.RedisServer(b).ClientWith(redis.Options{PoolSize: 32}))
	const accounts = 160
	for range accounts {
		r.account(0)
	}
	ids := make([]int64, 0, accounts)
	rows, err := r.pool.Query(b.Context(), `select id from accounts`)
	r.must(err)
	for rows.Next() {
		var id int64
		r.must(rows.Scan(&id))
		ids = append(ids, id)
	}
	r.must(rows.Err())
	sample := settlement(1, "x", 1)
	payload := encodePayload(&sample)
	pipe := r.redis.Pipeline()
	for i := range b.N {
		account := ids[i%accounts]
		pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: evKey(shardOf(account)), Values: []any{"t", "settle", "e", 1,
			"h", fmt.Sprintf("0190c0de-%012d-%04x", i, i%65536), "a", account, "k", i % 7, "c", 1000, "w", i % 2, "d", payload}})
		if pipe.Len() >= 5000 || i == b.N-1 {
			_, err := pipe.Exec(b.Context())
			r.must(err)
		}
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for s := range stream.Shards {
		wg.Go(func() {
			for {
				n, err := r.owners[s].drain(b.Context())
				if err != nil {
					b.Error(err)
				}
				if n == 0 || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if n := r.count(`select count(*) from usage`); n != int64(b.N) {
		b.Fatalf("%d of %d events in the ledger", n, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
