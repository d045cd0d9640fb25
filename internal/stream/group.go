package stream

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	defaultGroup    = "workers"
	defaultConsumer = "owner"
	defaultBlock    = time.Second
	blockMost       = 2 * time.Second
	pageMost        = 64 // entries of one read
	firstID         = "0"
	newEntries      = ">"
)

// GroupOptions are what [NewGroup] needs.
type GroupOptions struct {
	Redis    redis.UniversalClient // for reading and acknowledging
	Blocking redis.UniversalClient // for waiting: each waiting Group occupies one connection of it
	Stream   string
	Fence    Fence         // reads are refused when this lease is not ours; see [FenceFrom]
	Block    time.Duration // how long one wait for new entries takes; 1 s if zero, at most 2 s
}

// Entry is one entry of a stream.
type Entry struct {
	ID     string
	Fields map[string]string
	// Age is the entry's age when it was read at ReadAt, on Redis' clock alone.
	Age    time.Duration
	ReadAt time.Time
	// Redelivered tells that the entry had been read before, by an owner that did
	// not acknowledge it, or in a read whose answer was lost.
	Redelivered bool
}

// AgeAt returns the entry's age at now.
func (e *Entry) AgeAt(now time.Time) time.Duration { return e.Age + now.Sub(e.ReadAt) }

// Group reads one stream in order for one owner at a time, through a consumer group
// with one constant consumer: what an earlier owner read and did not acknowledge
// comes first, in order, then what is new. Read is for one goroutine; Ack may be
// called from others.
type Group struct {
	o      GroupOptions
	script *redis.Script

	after string // where the pass over pending entries stands; newEntries when it is over
	last  string // id after which to wait for something new

	mu   sync.Mutex
	open map[string]struct{} // read here and not acknowledged yet

	waits sync.WaitGroup // waits that outlive a cancelled Read
}

// NewGroup prepares a reader; it touches Redis with the first Read.
func NewGroup(o GroupOptions) *Group {
	if o.Block <= 0 {
		o.Block = defaultBlock
	}
	o.Block = min(o.Block, blockMost)
	return &Group{
		o:      o,
		script: redis.NewScript(readLua),
		after:  firstID,
		last:   firstID,
		open:   make(map[string]struct{}),
	}
}

//go:embed read.lua
var readLua string

// Read returns the next entries, at most limit of them, and waits for them if need
// be. It returns none and no error when nothing came in time. ctx's end returns at
// once; [ErrLeaseLost] says that the fence refused, which may pass.
//
// After any error the entries that are pending and not open here are read again: the
// answer that would have brought them may be what was lost.
func (g *Group) Read(ctx context.Context, limit int) ([]Entry, error) {
	for {
		entries, err := g.next(ctx, min(limit, pageMost))
		switch {
		case err != nil && strings.Contains(err.Error(), "NOGROUP"):
			if err := g.create(ctx); err != nil {
				return nil, err
			}
		case err != nil:
			g.after = firstID
			return nil, err
		case len(entries) > 0:
			return entries, nil
		case g.after == newEntries:
			return nil, g.wait(ctx)
		}
	}
}

// create makes the group from the stream's beginning, with the stream if need be.
func (g *Group) create(ctx context.Context) error {
	err := g.o.Redis.XGroupCreateMkStream(ctx, g.o.Stream, defaultGroup, firstID).Err()
	if err != nil && !strings.Contains(err.Error(), "BUSYGROUP") {
		return fmt.Errorf("create group of %s: %w", g.o.Stream, err)
	}
	g.after, g.last = firstID, firstID
	return nil
}

// next reads one page without waiting.
func (g *Group) next(ctx context.Context, limit int) ([]Entry, error) {
	keys := []string{g.o.Stream}
	if g.o.Fence.Key != "" {
		keys = append(keys, g.o.Fence.Key)
	}
	reply, err := g.script.Run(ctx, g.o.Redis, keys, defaultGroup, defaultConsumer, limit, g.after, g.o.Fence.Token).Slice()
	readAt := time.Now()
	if err != nil {
		if strings.Contains(err.Error(), "FENCED") {
			return nil, ErrLeaseLost
		}
		return nil, fmt.Errorf("read %s: %w", g.o.Stream, err)
	}
	now, page, err := parsePage(reply)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", g.o.Stream, err)
	}
	if g.after != newEntries {
		if len(page) == 0 {
			g.after = newEntries
			return nil, nil
		}
		g.after = page[len(page)-1].ID
	}
	return g.fresh(ctx, page, now, readAt), nil
}

// fresh leaves out what is open here already and what has lost its contents.
func (g *Group) fresh(ctx context.Context, page []Entry, now int64, readAt time.Time) []Entry {
	var hollow []string
	redelivered := g.after != newEntries
	fresh := page[:0]
	g.mu.Lock()
	for _, e := range page {
		g.last = laterID(g.last, e.ID)
		if _, open := g.open[e.ID]; open {
			continue
		}
		if e.Fields == nil {
			hollow = append(hollow, e.ID)
			continue
		}
		g.open[e.ID] = struct{}{}
		e.Redelivered, e.ReadAt = redelivered, readAt
		e.Age = max(0, time.Duration(now-idMillis(e.ID))*time.Millisecond)
		fresh = append(fresh, e)
	}
	g.mu.Unlock()
	_ = g.Ack(ctx, hollow, nil) // otherwise they come again with the next pass
	return fresh
}

// wait returns when an entry newer than the last one read may be there, after the
// block time, or at ctx's end. The waiting command takes nothing from the stream, so
// one that outlives ctx does no harm; Close waits for it.
func (g *Group) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	args := &redis.XReadArgs{Streams: []string{g.o.Stream, g.last}, Count: 1, Block: g.o.Block}
	answer := make(chan error, 1)
	g.waits.Go(func() { answer <- g.o.Blocking.XRead(context.WithoutCancel(ctx), args).Err() })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-answer:
		if err != nil && !errors.Is(err, redis.Nil) {
			g.after = firstID
			return fmt.Errorf("wait for %s: %w", g.o.Stream, err)
		}
		return nil
	}
}

// Ack acknowledges and deletes entries in one transaction. also, if not nil, adds
// commands on keys of the same shard to it.
func (g *Group) Ack(ctx context.Context, ids []string, also func(redis.Pipeliner)) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := g.o.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.XAck(ctx, g.o.Stream, defaultGroup, ids...)
		p.XDel(ctx, g.o.Stream, ids...)
		if also != nil {
			also(p)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("acknowledge in %s: %w", g.o.Stream, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		delete(g.open, id)
	}
	return nil
}

// Close waits for a wait that outlived its Read, at most the block time.
func (g *Group) Close() { g.waits.Wait() }
