// Package cache answers repeated questions from memory, then from Redis, and only
// then from their source, and says how old an answer may be.
//
// A [Cache] is one instance's share of it; a [Space] is one kind of value in it:
//
//	profiles := cache.NewSpace[Profile](c, cache.SpaceOptions{Name: "profile", TTL: 5 * time.Minute})
//	p, err := profiles.Fetch(ctx, key, func(ctx context.Context) (Profile, error) { … })
//
// # Levels
//
// Level one is this process's memory, level two is Redis, shared by all instances, and
// the source is the loader that the caller brings. What fails on the way is passed
// over: an error reaches the caller only when the source itself gave it.
//
// # Order of writes
//
// Each load takes a ticket from Redis before it asks the source, and each invalidation
// and each [Space.Put] takes one, too. Tickets of a key only grow. A load may write only
// while no ticket above its own has written or invalidated, so a slow load can neither
// overwrite what is newer nor bring back what was invalidated.
//
// # Age of an answer
//
// README.md states the bounds. In short: an invalidation that returned nil is in force
// at once for all that read Redis and for the memory of the instance that made it, and
// for the memory of the others when its message arrives, at the latest after L1TTL.
//
// Values are shared between callers: they must not be changed. Balances, API keys and
// limits have no business here.
package cache
