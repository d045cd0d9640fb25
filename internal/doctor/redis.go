package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/redisinfo"
)

const (
	oldestRedis  = 602 // which knows XTRIM MINID
	testedRedis  = 700
	memoryScarce = 0.75 // of maxmemory
	memoryOut    = 0.90
	allSlots     = 16384
)

// Redis is what holds the hot balances, limits and the inbox; Cache is the cache's, nil
// where it is the same.
type Redis struct {
	Client redis.UniversalClient
	Cache  redis.UniversalClient
}

// Checks of the Redis.
func (r Redis) Checks() []Check {
	checks := []Check{
		{"redis.answers", r.answers}, {"redis.policy", r.policy}, {"redis.persistence", r.persistence}, {"redis.memory", r.memory},
	}
	if _, is := r.Client.(*redis.ClusterClient); is {
		checks = append(checks, Check{"redis.cluster", r.cluster})
	}
	if r.Cache != nil {
		checks = append(checks, Check{"redis.cache", r.cache})
	}
	return checks
}

// answers tells of the servers and their versions.
func (r Redis) answers(ctx context.Context) (found []Finding) {
	servers, err := redisinfo.Read(ctx, r.Client)
	if err != nil {
		found = append(found, fault("start Redis, or correct REDIS_URL", "Redis cannot be reached: %s.", reason(err)))
	}
	for _, s := range servers {
		switch version := release(s.Version); {
		case version == 0:
			found = append(found, warning("see to it that it is Redis 7 or newer", "Redis at %s answers and does not tell its version.", s.Addr))
		case version < oldestRedis:
			found = append(found, fault("update it to Redis 7 or newer", "Redis at %s is version %s, which lacks commands that are used.", s.Addr, s.Version))
		case version < testedRedis:
			found = append(found, warning("update it to Redis 7 or newer", "Redis at %s is version %s, with which nothing was tested.", s.Addr, s.Version))
		default:
			found = append(found, well("Redis %s answers at %s.", s.Version, s.Addr))
		}
	}
	return found
}

// release is a version's first two numbers as one, 702 of 7.2.4; 0: it is none.
func release(version string) int {
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); n < 2 || err != nil {
		return 0
	}
	return 100*major + minor
}

// policy is whether balances may be dropped.
func (r Redis) policy(ctx context.Context) (found []Finding) {
	servers, _ := redisinfo.Read(ctx, r.Client) // who does not answer is told by answers
	for _, s := range servers {
		switch {
		case s.Evicts():
			found = append(found, fault("set maxmemory-policy noeviction in its configuration, and at once with CONFIG SET",
				"Redis at %s may evict balances and limits when its memory is full: its maxmemory-policy is %s. kikuai serve refuses it.", s.Addr, s.Policy))
		case s.Policy == "":
			found = append(found, warning("see to it that its maxmemory-policy is noeviction", "Redis at %s does not tell its maxmemory-policy.", s.Addr))
		default:
			found = append(found, well("Redis at %s never evicts.", s.Addr))
		}
	}
	return found
}

// persistence is what a crash of Redis would forget.
func (r Redis) persistence(ctx context.Context) (found []Finding) {
	servers, _ := redisinfo.Read(ctx, r.Client)
	for _, s := range servers {
		fsync := r.setting(ctx, s.Addr, "appendfsync")
		switch {
		case s.Writes != "":
			found = append(found, fault("make room on its disk, or mend its permissions: until then it refuses writes or loses them",
				"Redis at %s has trouble with its disk: %s.", s.Addr, s.Writes))
		case !s.AppendOnly:
			found = append(found, fault("set appendonly yes and appendfsync everysec in its configuration",
				"Redis at %s keeps no append-only file: when it ends, updates and calls that Postgres does not have yet are forgotten.", s.Addr))
		case fsync == "no":
			found = append(found, warning("set appendfsync everysec",
				"Redis at %s leaves it to the system when its file is on the disk (appendfsync no): a crash of the machine may forget half a minute.", s.Addr))
		case fsync == "":
			found = append(found, well("Redis at %s keeps an append-only file.", s.Addr))
		default:
			found = append(found, well("Redis at %s keeps an append-only file (appendfsync %s).", s.Addr, fsync))
		}
	}
	return found
}

// setting asks one server.
func (r Redis) setting(ctx context.Context, addr, name string) (value string) {
	switch client := r.Client.(type) {
	case *redis.Client:
		return redisinfo.Setting(ctx, client, name)
	case *redis.ClusterClient:
		_ = client.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
			if node.Options().Addr == addr {
				value = redisinfo.Setting(ctx, node, name)
			}
			return nil
		})
	}
	return value
}

// memory is how much room there is.
func (r Redis) memory(ctx context.Context) (found []Finding) {
	servers, _ := redisinfo.Read(ctx, r.Client)
	for _, s := range servers {
		bound, what := s.MaxMemory, "maxmemory"
		if bound == 0 {
			bound, what = s.SystemMemory, "its machine's memory"
		}
		if bound == 0 {
			continue
		}
		part := float64(s.Used) / float64(bound)
		says := fmt.Sprintf("Redis at %s uses %s, %.0f %% of %s.", s.Addr, size(s.Used), 100*part, what)
		switch {
		case part >= memoryOut:
			found = append(found, fault("give it more memory, or spread it over a cluster: full, it refuses every paid call", "%s", says))
		case part >= memoryScarce:
			found = append(found, warning("give it more memory before it is full, when it refuses every paid call", "%s", says))
		case s.MaxMemory == 0:
			found = append(found, warning("set maxmemory to three quarters of what its machine can give: without it the kernel kills Redis when memory ends", "Redis at %s has no maxmemory; it uses %s.", s.Addr, size(s.Used)))
		default:
			found = append(found, well("%s", says))
		}
	}
	return found
}

// size is a number of bytes in words.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (bytes+1023)/1024)
}

// cluster is whether all slots are served, and by whom when a master dies.
func (r Redis) cluster(ctx context.Context) []Finding {
	client, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return nil
	}
	slots, err := client.ClusterSlots(ctx).Result() //nolint:staticcheck // what Redis 6.2 has, too
	if err != nil {
		return []Finding{fault("look at CLUSTER INFO on each node", "The cluster does not tell its slots: %s.", reason(err))}
	}
	served, alone, masters := 0, map[string]bool{}, map[string]bool{}
	for _, s := range slots {
		served += s.End - s.Start + 1
		if len(s.Nodes) > 0 {
			masters[s.Nodes[0].Addr] = true
			if len(s.Nodes) == 1 {
				alone[s.Nodes[0].Addr] = true
			}
		}
	}
	switch {
	case served < allSlots:
		return []Finding{fault("give the missing slots to nodes: redis-cli --cluster fix", "The cluster serves %d of %d slots.", served, allSlots)}
	case len(alone) > 0:
		return []Finding{warning("add a replica to each master (redis-cli --cluster add-node --cluster-slave)",
			"%d of the cluster's %d masters have no replica: while one is away, its accounts get 503.", len(alone), len(masters))}
	}
	return []Finding{well("The cluster serves all slots by %d masters, each with a replica.", len(masters))}
}

// cache is of the cache's own Redis, which may evict and may lose everything.
func (r Redis) cache(ctx context.Context) (found []Finding) {
	servers, err := redisinfo.Read(ctx, r.Cache)
	if err != nil {
		found = append(found, warning("start it, or correct CACHE_REDIS_URL; meanwhile everything is asked of its source",
			"The cache's Redis cannot be reached: %s.", reason(err)))
	}
	for _, s := range servers {
		if s.Policy == redisinfo.NoEviction && s.MaxMemory > 0 {
			found = append(found, warning("set maxmemory-policy allkeys-lfu there",
				"The cache's Redis at %s never evicts and has a maxmemory: once it is full, nothing new is cached.", s.Addr))
			continue
		}
		found = append(found, well("The cache's Redis %s answers at %s.", strings.TrimSpace(s.Version), s.Addr))
	}
	return found
}
