package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
)

// level2 is Redis: values, their tickets and locks.
type level2 struct {
	redis   redis.UniversalClient
	scripts scripts
	packer  *packer
	outage  *outage
	metrics *metrics
	lock    time.Duration // life of a load's lock
	state   time.Duration // life of a key's tickets
}

// found is what a look at level two gave.
type found struct {
	frame frame
	left  time.Duration // life in Redis; 0: there is no value, or none that may be used
	tags  uint64        // a hash of the tags' versions now
	seen  string        // ticket of the value that was looked at, usable or not; empty: none
}

// usable says whether there is a value that may be served.
func (f found) usable() bool { return f.left > 0 }

// look reads a value and the versions of its tags. A value that is none of ours is
// deleted and not found.
func (l *level2) look(ctx context.Context, b *budget, s *space, key string) (found, error) {
	name := valueKey(s.o.Name, key)
	var (
		value *redis.StringCmd
		life  *redis.DurationCmd
		tags  []*redis.StringCmd
	)
	names := s.tags(key)
	err := l.call(ctx, b, func(ctx context.Context) error {
		pipe := l.redis.Pipeline()
		// GETRANGE bounds what a foreign value can make us read.
		value = pipe.GetRange(ctx, name, 0, int64(frameBytes+s.o.MaxBytes+frameOverhead))
		life = pipe.PTTL(ctx, name)
		for _, tag := range names {
			tags = append(tags, pipe.Get(ctx, tagKey(s.o.Name, tag)))
		}
		_, err := pipe.Exec(ctx)
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil
		}
		return ignoreNil(err)
	})
	if err != nil {
		return found{}, err
	}
	var f found
	if f.tags, err = versions(names, tags); err != nil {
		return found{}, err
	}
	if redis.HasErrorPrefix(value.Err(), "WRONGTYPE") {
		l.discard(ctx, b, name)
		return f, nil
	}
	if value.Err() != nil || life.Err() != nil {
		return found{}, errors.Join(value.Err(), life.Err())
	}
	if value.Val() == "" && life.Val() == -2 { // no such key
		return f, nil
	}
	f.frame, err = l.packer.unpack(name, s.o.Schema, []byte(value.Val()), s.o.MaxBytes)
	if err != nil || life.Val() == -1 { // unreadable, or it would live for ever
		l.discard(ctx, b, name)
		return f, nil //nolint:nilerr // a value that cannot be read is a miss
	}
	f.seen = f.frame.ticket
	if f.frame.tags == f.tags && life.Val() > 0 {
		f.left = life.Val()
	}
	return f, nil
}

// versions is a hash of tags with their versions. A tag of a wrong type counts as
// never invalidated until it is; nobody else writes there.
func versions(names []string, replies []*redis.StringCmd) (uint64, error) {
	if len(names) == 0 {
		return 0, nil
	}
	var b strings.Builder
	for i, name := range names {
		err := replies[i].Err()
		if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return 0, err
		}
		fmt.Fprintf(&b, "%d:%s=%s;", len(name), name, replies[i].Val())
	}
	return xxhash.Sum64String(b.String()), nil
}

func (l *level2) discard(ctx context.Context, b *budget, name string) {
	l.metrics.corrupt.Inc()
	// Not deleted now: it is found again by the next read.
	_ = l.call(ctx, b, func(ctx context.Context) error { return l.redis.Unlink(ctx, name).Err() })
}

// begun is what Redis says to a load that would begin.
type begun struct {
	ticket string // to write with; empty: do not load
	newer  bool   // there is another value to look at
}

// begin asks for a ticket. seen is the ticket of the value that is to be replaced, tags
// are the versions of the key's tags as they were seen.
// Whoever may not wait for another's load forces one, without the lock.
func (l *level2) begin(ctx context.Context, b *budget, s *space, key, seen string, tags uint64, force bool) (begun, error) {
	name := valueKey(s.o.Name, key)
	flag := "0"
	if force {
		flag = "1"
	}
	var reply []string
	err := l.call(ctx, b, func(ctx context.Context) (err error) {
		reply, err = l.scripts.begin.Run(ctx, l.redis, []string{name, name + stateSuffix},
			seen, l.lock.Microseconds(), l.state.Milliseconds(), flag, strconv.FormatUint(tags, 10)).StringSlice()
		return err
	})
	if err != nil {
		return begun{}, err
	}
	if len(reply) == 2 {
		return begun{ticket: reply[1]}, nil
	}
	return begun{newer: len(reply) == 1 && reply[0] == "newer"}, nil
}

// finish ends a load. blob, a frame without its ticket, is kept for life, unless it is
// too late or empty; the lock is free in any case.
func (l *level2) finish(ctx context.Context, b *budget, s *space, key, ticket string, blob []byte, life time.Duration) (bool, error) {
	name := valueKey(s.o.Name, key)
	var kept int
	err := l.call(ctx, b, func(ctx context.Context) (err error) {
		kept, err = l.scripts.finish.Run(ctx, l.redis, []string{name, name + stateSuffix},
			ticket, blob, max(1, life.Milliseconds()), l.state.Milliseconds()).Int()
		return err
	})
	return kept == 1, err
}

// put writes a value for life and returns its ticket.
func (l *level2) put(ctx context.Context, b *budget, s *space, key string, blob []byte, life time.Duration, m message) (ticket string, err error) {
	name := valueKey(s.o.Name, key)
	err = l.call(ctx, b, func(ctx context.Context) (err error) {
		ticket, err = l.scripts.put.Run(ctx, l.redis, []string{name, name + stateSuffix},
			blob, max(1, life.Milliseconds()), l.state.Milliseconds(), channel, m.String()).Text()
		return err
	})
	return ticket, err
}

func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
