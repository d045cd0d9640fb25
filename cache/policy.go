package cache

import "fmt"

// Policy says what leaves level one when it is full.
type Policy string

// The policies of level one.
const (
	TinyLFU Policy = "tinylfu" // what is asked for least often (W-TinyLFU); the default
	LRU     Policy = "lru"     // what was not asked for longest
	TTL     Policy = "ttl"     // what expires next
)

// ParsePolicy reads a policy's name; the empty one is [TinyLFU].
func ParsePolicy(name string) (Policy, error) {
	switch p := Policy(name); p {
	case "":
		return TinyLFU, nil
	case TinyLFU, LRU, TTL:
		return p, nil
	}
	return "", fmt.Errorf("cache: unknown policy %q: tinylfu, lru or ttl", name)
}
