package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/stream"
)

const copyLines = 4 // connections of the bare COPY, as many as draining may take

// backlog is how many events wait for the ledger.
func (m *till) backlog(ctx context.Context) (int64, error) {
	var events int64
	for s := range stream.Shards {
		n, err := m.client.XLen(ctx, stream.Shard(s).Key("ev")).Result()
		if err != nil {
			return 0, err
		}
		events += n
	}
	return events, nil
}

// drain lets the engine work until the ledger has every event, and says how long it took.
func (m *till) drain(ctx context.Context) (time.Duration, error) {
	ends := make([]string, stream.Shards)
	for s := range ends {
		last, err := m.client.XRevRangeN(ctx, stream.Shard(s).Key("ev"), "+", "-", 1).Result()
		if err != nil {
			return 0, err
		}
		if len(last) > 0 {
			ends[s] = last[0].ID
		}
	}
	ctx, cancel := context.WithTimeout(ctx, drainIn)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- m.desk.Engine.Run(running) }()
	var err error
	for done := false; !done && err == nil; {
		if done, err = m.reached(ctx, ends); !done && err == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	took := time.Since(began)
	stop()
	return took, errors.Join(err, <-ended)
}

// reached tells whether every shard is open and applied up to its end.
func (m *till) reached(ctx context.Context, ends []string) (bool, error) {
	rows, err := m.pool.Query(ctx, `select shard, last_ms || '-' || last_seq, epoch from stream_positions`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	all := true
	for rows.Next() {
		var shard, epoch int64
		var at string
		if err := rows.Scan(&shard, &at, &epoch); err != nil {
			return false, err
		}
		if epoch == 0 || ends[shard] != "" && ends[shard] != at {
			all = false
		}
	}
	if err := rows.Err(); err != nil || !all {
		return false, err
	}
	for s := range stream.Shards { // an epoch in Redis says that the shard is open
		n, err := m.client.Exists(ctx, stream.Shard(s).Key("epoch")).Result()
		if err != nil || n == 0 {
			return false, err
		}
	}
	return true, nil
}

// copyBare writes the rows that the events became once more, into tables without
// indexes, keys or triggers: the least that it can cost.
func (m *till) copyBare(ctx context.Context, events int64) (time.Duration, error) {
	tables := []string{"ledger_transactions", "ledger_entries", "usage"}
	var parts [copyLines][]bytes.Buffer
	for _, table := range tables {
		if _, err := m.pool.Exec(ctx, fmt.Sprintf(`create table bare_%s (like %s)`, table, table)); err != nil {
			return 0, err
		}
		for line := range parts {
			part, err := copyOut(ctx, m.pool, fmt.Sprintf(
				`copy (select * from %s where (account_id & %d) = %d) to stdout`, table, copyLines-1, line))
			if err != nil {
				return 0, err
			}
			parts[line] = append(parts[line], part)
		}
	}
	began := time.Now()
	failures := make([]error, copyLines)
	var group sync.WaitGroup
	for line := range parts {
		group.Go(func() {
			for i, table := range tables {
				if err := copyIn(ctx, m.pool, "bare_"+table, &parts[line][i]); err != nil {
					failures[line] = err
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	if err := errors.Join(failures...); err != nil {
		return 0, err
	}
	var copied int64
	if err := m.pool.QueryRow(ctx, `select count(*) from bare_usage`).Scan(&copied); err != nil {
		return 0, err
	}
	if copied != events {
		return 0, fmt.Errorf("%d rows of usage for %d events", copied, events)
	}
	return took, nil
}

func copyOut(ctx context.Context, pool *pgxpool.Pool, statement string) (part bytes.Buffer, err error) {
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		_, err := c.Conn().PgConn().CopyTo(ctx, &part, statement)
		return err
	})
	return part, err
}

func copyIn(ctx context.Context, pool *pgxpool.Pool, table string, part *bytes.Buffer) error {
	return pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		_, err := c.Conn().PgConn().CopyFrom(ctx, part, "copy "+table+" from stdin")
		return err
	})
}
