package doctor

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/redisinfo"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServerWith(t, redisserver.Options{AppendOnly: true})
	client := server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	set := func(name, value string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	checks := Redis{Client: client}.Checks()
	expect(t, checks, "redis.answers", "ok: Redis 7")
	expect(t, checks, "redis.policy", "ok: never evicts")
	expect(t, checks, "redis.persistence", "ok: appendfsync everysec")
	expect(t, checks, "redis.memory", "warning: has no maxmemory")

	for _, policy := range []string{"allkeys-lru", "volatile-ttl"} {
		set("maxmemory-policy", policy)
		expect(t, checks, "redis.policy", "fault: its maxmemory-policy is "+policy)
	}
	set("maxmemory-policy", "noeviction")
	set("appendfsync", "no")
	expect(t, checks, "redis.persistence", "warning: appendfsync no")
	set("appendonly", "no")
	expect(t, checks, "redis.persistence", "fault: keeps no append-only file")

	set("maxmemory", "1gb")
	expect(t, checks, "redis.memory", "ok: of maxmemory")
	servers, err := redisinfo.Read(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	set("maxmemory", strconv.FormatInt(servers[0].Used*5/4, 10))
	expect(t, checks, "redis.memory", "warning: of maxmemory")
	set("maxmemory", strconv.FormatInt(servers[0].Used, 10))
	expect(t, checks, "redis.memory", "fault: of maxmemory")

	// A cache that never evicts stops caching once it is full.
	both := Redis{Client: client, Cache: client}.Checks()
	expect(t, both, "redis.cache", "warning: nothing new is cached")
	set("maxmemory-policy", "allkeys-lfu")
	expect(t, both, "redis.cache", "ok: The cache's Redis 7")

	// What a managed server forbids is not told, and no fault.
	if err := client.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	expect(t, checks, "redis.policy", "fault: allkeys-lfu") // INFO tells it all the same
	if err := client.Do(t.Context(), "ACL", "SETUSER", "default", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	expect(t, checks, "redis.answers", "fault: NOPERM")
	server.Stop()
	expect(t, checks, "redis.answers", "fault: connection refused")
	expect(t, checks, "redis.policy")
	expect(t, both, "redis.cache", "warning: connection refused")
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	cluster := testenv.RedisCluster(t)
	checks := Redis{Client: cluster.Client()}.Checks()
	expect(t, checks, "redis.answers", "ok: Redis 7", "ok: Redis 7", "ok: Redis 7")
	expect(t, checks, "redis.cluster", "warning: 3 of the cluster's 3 masters have no replica")
	// One node of three is enough to lose money.
	if err := cluster.Nodes[1].Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	evicting := 0
	for _, f := range Examine(t.Context(), Only(checks, []string{"redis.policy"})) {
		if f.Level == Fault && strings.Contains(f.Says, cluster.Nodes[1].Addr) {
			evicting++
		} else if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
	if evicting != 1 {
		t.Error("the node that evicts is not named")
	}
	for _, node := range cluster.Nodes {
		if err := node.Client().Do(t.Context(), "CLUSTER", "DELSLOTS", "0").Err(); err != nil && !strings.Contains(err.Error(), "already unassigned") {
			t.Fatal(err)
		}
	}
	expect(t, Redis{Client: cluster.Client()}.Checks(), "redis.cluster", "fault: serves 16383 of 16384 slots")
}

func TestReleases(t *testing.T) {
	for version, want := range map[string]int{"7.0.15": 700, "6.2.0": 602, "7.2": 702, "8.10.1": 810, "": 0, "unstable": 0} {
		if got := release(version); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}
