package cache

import (
	"context"
	"log/slog"

	"github.com/maypok86/otter/v2"
)

// tinyLFU is W-TinyLFU by otter. Expired entries are removed by the sweeper, as for
// every policy, and maintenance runs on the caller's goroutine: so otter starts no
// goroutine of its own. (The callback under its lock only counts, as it must.)
type tinyLFU struct{ cache *otter.Cache[place, *entry] }

func newTinyLFU(most int, log *slog.Logger, count *tally) (*tinyLFU, error) {
	cache, err := otter.New(&otter.Options[place, *entry]{
		MaximumSize: most,
		Executor:    func(f func()) { f() },
		Logger:      otterLog{log},
		OnAtomicDeletion: func(e otter.DeletionEvent[place, *entry]) {
			count.removed(e.Value, e.WasEvicted())
		},
	})
	if err != nil {
		return nil, err
	}
	return &tinyLFU{cache: cache}, nil
}

func (s *tinyLFU) load(at place) (*entry, bool) { return s.cache.GetIfPresent(at) }
func (s *tinyLFU) remove(at place)              { s.cache.Invalidate(at) }
func (s *tinyLFU) size() int                    { return s.cache.EstimatedSize() }
func (s *tinyLFU) save(at place, e *entry)      { s.cache.Set(at, e) }

func (s *tinyLFU) removeIf(match func(at place, e *entry) bool) {
	var found []place // removed after the loop, which holds locks
	for at, e := range s.cache.All() {
		if match(at, e) {
			found = append(found, at)
		}
	}
	for _, at := range found {
		s.cache.Invalidate(at)
	}
}

type otterLog struct{ log *slog.Logger }

func (l otterLog) Warn(ctx context.Context, msg string, err error) {
	l.log.WarnContext(ctx, "cache library: "+msg, "error", err)
}

func (l otterLog) Error(ctx context.Context, msg string, err error) {
	l.log.ErrorContext(ctx, "cache library: "+msg, "error", err)
}
