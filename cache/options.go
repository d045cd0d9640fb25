package cache

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Defaults and bounds.
const (
	defaultMaxEntries    = 10_000
	defaultMaxBytes      = 1 << 20
	defaultCompressAbove = 1 << 10
	defaultLoadTimeout   = 10 * time.Second
	defaultLockWait      = time.Second
	defaultL1TTL         = 10 * time.Second
	defaultPatience      = 100 * time.Millisecond

	maxKeyBytes  = 1 << 10             // a longer key goes past the cache
	maxLife      = 31 * 24 * time.Hour // of anything that is kept
	maxLoads     = 1024                // loaders at work at once, stuck ones included
	maxRefreshes = 32                  // of them, refreshes ahead of expiry
	maxBacklog   = 4096                // invalidations that wait for Redis

	sweepEvery    = time.Second      // removal of expired entries from level one
	stateSpare    = 10 * time.Second // of the life of tickets beyond that of a load
	closePatience = 5 * time.Second  // for loaders at work, when closing
)

// Options are what [New] needs. Zero values mean the defaults.
type Options struct {
	Redis      redis.UniversalClient // level two; nil: there is none. See [FailFast]
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are counted and shown nowhere
	Now        func() time.Time      // clock of level one and of early refreshes; nil: time.Now

	Policy        Policy        // of level one
	MaxEntries    int           // in level one; 10,000
	MaxBytes      int           // an encoded value above it is not cached; 1 MiB
	CompressAbove int           // bytes above which level two holds zstd; 1 KiB, negative: never
	LoadTimeout   time.Duration // after which a load is given up; 10 s
	LockWait      time.Duration // longest wait for another instance's load; 1 s
	RedisPatience time.Duration // what one request may wait for Redis, all its calls together; 100 ms
}

func (o Options) filled() (Options, error) {
	var err error
	if o.Policy, err = ParsePolicy(string(o.Policy)); err != nil {
		return o, err
	}
	if o.MaxEntries < 0 || o.MaxBytes < 0 || o.LoadTimeout < 0 || o.LockWait < 0 || o.RedisPatience < 0 {
		return o, errors.New("cache: sizes and times are not negative")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	fill(&o.MaxEntries, defaultMaxEntries)
	fill(&o.MaxBytes, defaultMaxBytes)
	fill(&o.CompressAbove, defaultCompressAbove)
	fill(&o.LoadTimeout, defaultLoadTimeout)
	fill(&o.LockWait, defaultLockWait)
	fill(&o.RedisPatience, defaultPatience)
	return o, nil
}

// SpaceOptions say how one kind of value is kept.
type SpaceOptions struct {
	Name   string        // lower-case letters, digits and '-'; unique in its Cache
	TTL    time.Duration // life of a value since it was loaded
	L1TTL  time.Duration // life of a copy in memory; 10 s, at most TTL
	Grace  time.Duration // beyond TTL a value may be served for this long while a new one is loaded, or cannot be; 0
	Schema uint16        // to be raised when the type's encoding changes: values of another schema are a miss

	Negative time.Duration // life of the answer "not there"; 0: it is not kept
	NotFound error         // what the loader says then, by errors.Is; nil: ErrNotFound

	MaxBytes int                       // a value encoded to more is not cached; the Cache's if 0
	Tags     func(key string) []string // names that keys are invalidated together by, at most 8; pure
	Beta     float64                   // eagerness of early refreshes; 1
}

func (o SpaceOptions) filled(whole Options) (SpaceOptions, error) {
	if !spaceName.MatchString(o.Name) {
		return o, errors.New("its name is not made of a-z, 0-9 and '-'")
	}
	if o.TTL <= 0 || o.L1TTL < 0 || o.Grace < 0 || o.Negative < 0 || o.TTL+o.Grace > maxLife || o.Negative > maxLife {
		return o, errors.New("a life is missing, negative or above 31 days")
	}
	if o.MaxBytes < 0 || o.MaxBytes > whole.MaxBytes || o.Beta < 0 || o.Beta > 100 {
		return o, errors.New("its size or eagerness is out of bounds")
	}
	if o.NotFound == nil {
		o.NotFound = ErrNotFound
	}
	fill(&o.L1TTL, min(defaultL1TTL, o.TTL))
	o.L1TTL = min(o.L1TTL, o.TTL)
	fill(&o.MaxBytes, whole.MaxBytes)
	fill(&o.Beta, 1)
	return o, nil
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// FailFast are options of a client for [Options.Redis] that gives up in time: the
// library's own would wait five seconds for a Redis that does not answer. Addresses,
// names and passwords are taken from the URLs; several are a cluster.
func FailFast(urls []string) (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		MaxRedirects:          1,
		DialerRetries:         1,
		DialTimeout:           250 * time.Millisecond,
		ReadTimeout:           defaultPatience,
		WriteTimeout:          defaultPatience,
		PoolTimeout:           defaultPatience,
		IsClusterMode:         len(urls) > 1,
	}
	if len(urls) == 0 {
		return nil, errRedisURL
	}
	for _, url := range urls {
		one, err := redis.ParseURL(url)
		if err != nil {
			return nil, errRedisURL // the library's error quotes the URL, and with it the password
		}
		o.Addrs = append(o.Addrs, one.Addr)
		o.Username, o.Password, o.DB = one.Username, one.Password, one.DB
		if one.TLSConfig != nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: one.TLSConfig.ServerName}
		}
	}
	return o, nil
}
