package ratelimit_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

func benchLimiter(b *testing.B, breaker *ratelimit.Breaker) *ratelimit.Limiter {
	return ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedis(testenv.Redis(b)), Breaker: breaker, Log: slog.New(slog.DiscardHandler),
		Instances: func() int { return 3 },
	})
}

// broken is an open breaker.
func broken(b *testing.B) *ratelimit.Breaker {
	breaker := ratelimit.NewBreaker(ratelimit.BreakerOptions{
		Log: slog.New(slog.DiscardHandler), Probe: failing, ProbeEvery: time.Hour,
	})
	b.Cleanup(breaker.Close)
	for !breaker.Open() {
		_ = do(breaker, failing)
	}
	return breaker
}

// BenchmarkLimiter is a call that Redis allows, one that is denied from memory, and one
// that is decided without Redis.
func BenchmarkLimiter(b *testing.B) {
	b.Run("redis", func(b *testing.B) {
		l := benchLimiter(b, unbreakable(b))
		b.ReportAllocs()
		for b.Loop() {
			take(b, l, perMinute("b", 1<<40))
		}
	})
	b.Run("remembered", func(b *testing.B) {
		l := benchLimiter(b, unbreakable(b))
		limit := perMinute("b", 0)
		take(b, l, limit)
		b.ReportAllocs()
		for b.Loop() {
			take(b, l, limit)
		}
	})
	b.Run("alone", func(b *testing.B) {
		l := benchLimiter(b, broken(b))
		limit := perMinute("b", 1<<40)
		b.ReportAllocs()
		for b.Loop() {
			take(b, l, limit)
		}
	})
}

// BenchmarkLimiterFull is the memory of as many limits as are kept, each of which owes.
func BenchmarkLimiterFull(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := benchLimiter(b, broken(b))
		for n := range 1 << 16 {
			take(b, l, perMinute(fmt.Sprint(n), 1000))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<16), "B/limit")
		_, _, _ = l.Take(b.Context(), "", time.Minute, nil) // l lives until here
	}
}
