package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/gateway"
)

// A Redis that does not answer must cost a caller a fraction of a second, not the
// library's default of five: a hanging call is worse than a refused one. Who waits for an
// answer is told sooner than those who work behind it. All wait longer for one answer
// while others come, as a busy machine's hiccup is no outage.
const (
	redisCall     = 500 * time.Millisecond // of silence
	redisHot      = 200 * time.Millisecond // the same, on the request path
	redisMost     = time.Second            // for one answer: a fifth of a lease's life
	redisPool     = 64
	redisBlocking = 128 // 16 shards × (inbox, urgent, checkout, money), with room for a restart's overlap
	redisQueued   = 16 << 10
	// redisRedirects is how often a command of a cluster is sent again: where its slot
	// has moved, and as the library has it, after a timeout too.
	redisRedirects = 1
	// redisLines is how many pipelines to a cluster run side by side, each for its
	// range of slots: a node that hangs holds up its own and no others.
	redisLines = 16
	// clusterLook is how old what is known of a cluster's layout may be. Nobody says that a
	// replica has taken its master's place but another node, when it is asked.
	clusterLook = time.Second
)

var errRedisURL = errors.New("REDIS_URL cannot be read: redis://:password@host:6379/0 is its shape; several, comma-separated, are a cluster")

// stores are the ways to one Redis: calls that must be quick, those of the request path
// by themselves or gathered into pipelines, and reads that wait for something to happen.
type stores struct {
	quick    redis.UniversalClient
	hot      redis.UniversalClient
	gathered redis.Cmdable // hot, or its autopipeliner; scripts can be joined in one pipeline
	blocking redis.UniversalClient
	ears     *ears
}

// redisLog takes what the library says by itself: it is told again, with its context,
// by whoever made the call that failed.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis library: "+fmt.Sprintf(format, v...))
}

// openRedis connects lazily: a Redis that is away fails the calls, not the start. exchanges
// is told how long the request path's connections waited for answers; nil: nobody is.
func openRedis(urls []string, autoPipeline bool, exchanges prometheus.Observer, log *slog.Logger) (*stores, error) {
	redis.SetLogger(redisLog{log}) // the library has but one, for the whole process
	options, err := redisOptions(urls)
	if err != nil {
		return nil, err
	}
	shared := newEars()
	client := func(silence time.Duration, pool int, exchanges prometheus.Observer) redis.UniversalClient {
		o := *options
		o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.PoolSize = silence, silence, silence, pool
		o.DialTimeout, o.Dialer = redisMost, shared.dialer(silence, redisMost, o.TLSConfig, exchanges)
		return redisClient(&o)
	}
	s := &stores{quick: client(redisCall, redisPool, nil), hot: client(redisHot, redisPool, exchanges), blocking: client(redisCall, redisBlocking, nil), ears: shared}
	s.gathered = s.hot
	if autoPipeline {
		if s.gathered, err = autoPipelined(s.hot); err != nil {
			return nil, errors.Join(fmt.Errorf("gather Redis calls: %w", err), s.close())
		}
	}
	s.gathered = gateway.Joining(s.gathered, s.hot)
	return s, nil
}

// redisClient makes a client of one server or of a cluster.
func redisClient(o *redis.UniversalOptions) redis.UniversalClient {
	if !o.IsClusterMode {
		return redis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	cluster.ClusterStateReloadInterval = clusterLook // the library's is a minute, without word of a master that died
	return redis.NewClusterClient(cluster)
}

func redisOptions(urls []string) (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		MaxRetries:            -1, // scripts are idempotent, but a retry is the caller's to decide
		MaxRedirects:          redisRedirects,
		DialerRetries:         1,
		Protocol:              2, // nothing here is pushed to a client, and looking for it costs every answer
	}
	for _, url := range urls {
		one, err := redis.ParseURL(url)
		if err != nil {
			return nil, errRedisURL // the library's error quotes the URL, and with it the password
		}
		o.Addrs = append(o.Addrs, one.Addr)
		o.Username, o.Password, o.DB, o.TLSConfig = one.Username, one.Password, one.DB, one.TLSConfig
	}
	if len(o.Addrs) == 0 {
		return nil, errRedisURL
	}
	o.IsClusterMode = len(o.Addrs) > 1
	return o, nil
}

// autoPipelined is behind REDIS_AUTOPIPELINE because the library calls it
// experimental. It is the deferred kind: who reads an answer waits for it, in a way of
// their own where they must not wait for long.
func autoPipelined(client redis.UniversalClient) (redis.Cmdable, error) {
	o := redis.DefaultBlockingAutoPipelineOptions()
	o.MaxQueuedCommands = redisQueued
	switch c := client.(type) {
	case *redis.Client:
		return c.AsyncAutoPipelineWithOptions(o)
	case *redis.ClusterClient:
		o.NumShards = redisLines
		return c.AsyncAutoPipelineWithOptions(o)
	}
	return client, nil
}

func (s *stores) close() error {
	return errors.Join(s.quick.Close(), s.hot.Close(), s.blocking.Close())
}
