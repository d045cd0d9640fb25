package ratelimit

import (
	"context"
	"time"
)

// SettleUp is one round of Run.
func (l *Limiter) SettleUp(ctx context.Context) {
	l.settleUp(ctx)
	l.shares.sweep()
}

// Owes says whether Redis has yet to be told of something.
func (l *Limiter) Owes() bool {
	l.shares.mu.Lock()
	defer l.shares.mu.Unlock()
	for key := range l.shares.owing {
		sh := l.shares.live[key]
		if sh.prune(l.shares.clock()); sh.owes() {
			return true
		}
	}
	return false
}

// Kept is the number of limits whose past is kept.
func (l *Limiter) Kept() int {
	l.shares.mu.Lock()
	defer l.shares.mu.Unlock()
	return len(l.shares.live)
}

// Settled waits until no second opinion is on its way.
func (b *Breaker) Settled() {
	for doubting := true; doubting; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		doubting = b.doubting
		b.mu.Unlock()
	}
}
