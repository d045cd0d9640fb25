package cache

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// BenchmarkMemoryHit reads level one from all cores.
func BenchmarkMemoryHit(b *testing.B) {
	for _, policy := range []Policy{TinyLFU, LRU, TTL} {
		b.Run(string(policy), func(b *testing.B) {
			c, err := New(Options{Policy: policy})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			s := NewSpace[int](c, SpaceOptions{Name: "numbers", TTL: time.Hour, L1TTL: time.Hour})
			keys := make([]string, 4096)
			load := func(context.Context) (int, error) { return 1, nil }
			for n := range keys {
				keys[n] = strconv.Itoa(n)
				if _, err := s.Fetch(b.Context(), keys[n], load); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n += 7 {
					if _, err := s.Fetch(context.Background(), keys[n%len(keys)], load); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
