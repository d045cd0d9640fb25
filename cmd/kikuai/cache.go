package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/gateway"
)

const (
	cachePool = 32 // connections to the cache's Redis, beside those that wait for news
	warmAgain = 2 * time.Second
	warmMost  = time.Minute
)

var errCacheURL = errors.New("CACHE_REDIS_URL cannot be read: redis://:password@host:6379/0 is its shape; several, comma-separated, are a cluster")

// openCacheRedis connects lazily to the cache's Redis: one of its own, or the one that
// holds everything else. It gives up sooner than the others: what the cache does not
// answer at once is asked of its source.
func (a *App) openCacheRedis() error {
	urls := a.config.CacheRedisURLs.Reveal()
	if len(urls) == 0 {
		urls = a.config.RedisURLs.Reveal()
	}
	client, err := cacheClient(urls)
	a.cacheRedis = client
	return err
}

// cacheClient makes a client of the cache's Redis, which connects when it is used.
func cacheClient(urls []string) (redis.UniversalClient, error) {
	options, err := cache.FailFast(urls)
	if err != nil {
		return nil, errCacheURL
	}
	options.PoolSize = cachePool
	return redisClient(options), nil
}

// openCache makes the cache and what is kept in it for the whole program. Balances, API
// keys and limits are not: what decides about them is handed no cache.
func (a *App) openCache() (err error) {
	compressAbove := a.config.CacheCompression
	if compressAbove == 0 {
		compressAbove = 1 // everything; to the cache zero is its default
	}
	a.cache, err = cache.New(cache.Options{
		Redis:         a.cacheRedis,
		Log:           a.log,
		Registerer:    a.registry,
		Policy:        cache.Policy(a.config.CachePolicy),
		MaxEntries:    a.config.CacheSize,
		MaxBytes:      a.config.CacheMaxValue,
		CompressAbove: compressAbove,
	})
	if err != nil {
		return err
	}
	a.lists = gateway.NewListSpace(a.cache)
	if ttl := a.config.AnswerTTL; ttl > 0 {
		a.answers = gateway.NewAnswerSpace(a.cache, ttl)
	}
	return nil
}

// forgetAnswers drops the answers that are kept for an account.
func (a *App) forgetAnswers(ctx context.Context, account int64) error {
	if a.answers == nil {
		return nil
	}
	return a.answers.InvalidateTag(ctx, gateway.AnswerTag(account))
}

// runCache keeps the cache in step with other instances, and warms it at the start.
func (a *App) runCache(ctx context.Context) error {
	var warming sync.WaitGroup
	defer warming.Wait()
	warming.Go(func() { a.warmCache(ctx) })
	return a.cache.Run(ctx)
}

// warmCache loads what everybody asks for. Stores that are away are waited for.
func (a *App) warmCache(ctx context.Context) {
	for pause := warmAgain; ; pause = min(2*pause, warmMost) {
		err := errors.Join(a.server.WarmModels(ctx), a.router.WarmTiers(ctx))
		if err == nil {
			a.log.Debug("the cache is warm")
			return
		}
		a.log.Debug("the cache is not warm yet", "error", err)
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}
