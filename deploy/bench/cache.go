package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	hotKeys   = 4096 // in level one, all of them
	hotBlock  = 512  // reads of level one that are timed together
	warmKeys  = 64   // of each worker in Redis
	rawBytes  = 512
	fullBytes = 8 << 10
)

// shelf is a cache beside what it is compared with, on one Redis.
type shelf struct {
	client *redis.Client
	shared *cache.Cache // with Redis
	alone  *cache.Cache // memory only
	hot    *cache.Space[int]
	warm   *cache.Space[[]byte] // leaves memory at once, so that Redis is read
	cold   *cache.Space[int]    // likewise, and never there twice
	lonely *cache.Space[int]    // likewise, without Redis
	plain  sync.Map
	group  singleflight.Group
	names  []string
	close  func() error
}

func openShelf(ctx context.Context) (*shelf, error) {
	server, err := redisserver.Start(ctx, redisserver.Options{})
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, PoolSize: 96, ContextTimeoutEnabled: true})
	shared, err := cache.New(cache.Options{Redis: client, RedisPatience: time.Minute})
	if err != nil {
		return nil, errors.Join(err, client.Close(), server.Close())
	}
	alone, err := cache.New(cache.Options{})
	if err != nil {
		return nil, errors.Join(err, shared.Close(), client.Close(), server.Close())
	}
	passing := func(name string, ttl time.Duration) cache.SpaceOptions {
		return cache.SpaceOptions{Name: name, TTL: ttl, L1TTL: 1, Beta: 1e-9}
	}
	s := &shelf{
		client: client, shared: shared, alone: alone,
		hot:    cache.NewSpace[int](shared, cache.SpaceOptions{Name: "hot", TTL: time.Hour, L1TTL: time.Hour}),
		warm:   cache.NewSpace[[]byte](shared, passing("warm", time.Hour)),
		cold:   cache.NewSpace[int](shared, passing("cold", time.Second)),
		lonely: cache.NewSpace[int](alone, passing("lonely", time.Second)),
		close: func() error {
			return errors.Join(shared.Close(), alone.Close(), client.Close(), server.Close())
		},
	}
	for n := range hotKeys {
		s.names = append(s.names, "key:"+strconv.Itoa(n))
		s.plain.Store(s.names[n], n)
	}
	return s, nil
}

// pair is a way to read, and what it is compared with.
type pair struct {
	work, bare string
	block      int // reads in one call of the two
	ours       func(ctx context.Context, worker, n int) error
	theirs     func(ctx context.Context, worker, n int) error
}

func (s *shelf) pairs() []pair {
	number := func(context.Context) (int, error) { return 1, nil }
	var fresh [3]string // prefixes, so that rounds and ways do not meet
	for i := range fresh {
		fresh[i] = strconv.FormatInt(time.Now().UnixNano()+int64(i), 36)
	}
	name := func(prefix string, worker, n int) string {
		return prefix + ":" + strconv.Itoa(worker) + ":" + strconv.Itoa(n)
	}
	block := func(read func(name string) error) func(context.Context, int, int) error {
		return func(_ context.Context, worker, n int) error {
			at := worker*131 + n*hotBlock
			for i := range hotBlock {
				if err := read(s.names[(at+i*7)%hotKeys]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []pair{
		{"level one hit", "sync.Map", hotBlock,
			block(func(name string) error { _, err := s.hot.Fetch(context.Background(), name, number); return err }),
			block(func(name string) error { _, _ = s.plain.Load(name); return nil })},
		s.fromRedis("raw", noise(rawBytes)),
		s.fromRedis("zstd", bytes.Repeat([]byte(strings.Repeat("the same words ", 4)+"and others\n"), fullBytes/70)),
		{"miss, source, written to Redis", "GET, then SET", 1,
			func(ctx context.Context, worker, n int) error {
				_, err := s.cold.Fetch(ctx, name(fresh[0]+strconv.FormatInt(time.Now().UnixNano(), 36), worker, n), number)
				return err
			},
			func(ctx context.Context, worker, n int) error {
				key := name("bare"+strconv.FormatInt(time.Now().UnixNano(), 36), worker, n)
				if err := s.client.Get(ctx, key).Err(); !errors.Is(err, redis.Nil) {
					return err
				}
				return s.client.Set(ctx, key, 1, time.Second).Err()
			}},
		{"miss, source, without Redis", "x/sync's singleflight", 1,
			func(ctx context.Context, worker, n int) error {
				_, err := s.lonely.Fetch(ctx, name(fresh[1], worker, n), number)
				return err
			},
			func(_ context.Context, worker, n int) error {
				<-s.group.DoChan(name(fresh[2], worker, n), func() (any, error) { return 1, nil })
				return nil
			}},
	}
}

// fromRedis reads values of one content from level two, beside a GET of them as they are.
func (s *shelf) fromRedis(kind string, value []byte) pair {
	name := func(worker, n int) string {
		return kind + ":" + strconv.Itoa(worker) + ":" + strconv.Itoa(n%warmKeys)
	}
	return pair{fmt.Sprintf("level two hit, %d bytes, %s", len(value), kind), "GET", 1,
		func(ctx context.Context, worker, n int) error {
			_, err := s.warm.Fetch(ctx, name(worker, n), func(context.Context) ([]byte, error) { return value, nil })
			return err
		},
		func(ctx context.Context, worker, n int) error {
			err := s.client.Get(ctx, name(worker, n)).Err()
			if errors.Is(err, redis.Nil) {
				err = s.client.Set(ctx, name(worker, n), value, 0).Err()
			}
			return err
		}}
}

// measureCache compares each level with the least that it could cost.
func measureCache(ctx context.Context, rounds int, length time.Duration, workers int) (_ string, err error) {
	s, err := openShelf(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var b strings.Builder
	b.WriteString("| read | cache, reads/s | compared with | reads/s | ratio | p99 | its p99 |\n|---|--:|---|--:|--:|--:|--:|\n")
	for _, p := range s.pairs() {
		var ours, theirs []sample
		for round := range rounds + 1 {
			bare, err := together(ctx, workers, length, p.theirs)
			if err != nil {
				return "", err
			}
			cached, err := together(ctx, workers, length, p.ours)
			if err != nil {
				return "", err
			}
			if round > 0 { // the first one warms up
				theirs, ours = append(theirs, bare), append(ours, cached)
			}
		}
		r := compare(row{}, ours, theirs)
		block := float64(p.block)
		each := func(d time.Duration) string { return (d / time.Duration(p.block)).Round(10 * time.Nanosecond).String() }
		fmt.Fprintf(&b, "| %s | %.0f | %s | %.0f | **%.2f** | %s | %s |\n", p.work, r.kikuai.perSecond*block,
			p.bare, r.bare.perSecond*block, r.ratio, each(r.kikuai.p99), each(r.bare.p99))
	}
	fmt.Fprintf(&b, "\nMedians of %d rounds of %s, %d readers, on one machine with Redis beside them; ratios are of pairs of one round. "+
		"Times of level one are of %d reads together, by one. %s\n", rounds, length, workers, hotBlock, machine())
	return b.String(), nil
}

// noise is n bytes that do not compress.
func noise(n int) []byte {
	out, x := make([]byte, n), uint64(88172645463325252)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x >> 32)
	}
	return out
}
