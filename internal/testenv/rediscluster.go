package testenv

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

// RedisClusterHandle is a private Redis Cluster whose nodes a test may stop, freeze
// and start again one by one.
type RedisClusterHandle struct {
	Nodes []*RedisHandle

	t       testing.TB
	cluster *redisserver.Cluster
}

// RedisCluster starts a Redis Cluster of three masters that persist nothing.
func RedisCluster(t testing.TB) *RedisClusterHandle {
	t.Helper()
	cluster, err := redisserver.StartCluster(context.Background(), 3, redisserver.Options{})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Errorf("testenv: end the Redis Cluster: %v", err)
		}
	})
	h := &RedisClusterHandle{t: t, cluster: cluster}
	h.know()
	return h
}

// know makes handles of the nodes that have none.
func (h *RedisClusterHandle) know() {
	for _, node := range h.cluster.Nodes[len(h.Nodes):] {
		h.Nodes = append(h.Nodes, &RedisHandle{Addr: node.Addr, t: h.t, server: node})
	}
}

// RedisClusterReplicated is RedisCluster with a replica of each master.
func RedisClusterReplicated(t testing.TB) *RedisClusterHandle {
	t.Helper()
	h := RedisCluster(t)
	if err := h.cluster.Replicate(context.Background()); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	h.know()
	return h
}

// Synced waits until every live node is a master, or a replica in step with one.
func (h *RedisClusterHandle) Synced() {
	h.t.Helper()
	if err := h.cluster.Synced(context.Background()); err != nil {
		h.t.Fatalf("testenv: %v", err)
	}
}

// URL is the cluster as the setting REDIS_URL: the nodes' URLs, comma-separated.
func (h *RedisClusterHandle) URL() string { return h.cluster.URL() }

// Client returns a new client of the whole cluster, closed at the test's end.
func (h *RedisClusterHandle) Client() *redis.ClusterClient {
	h.t.Helper()
	o := &redis.ClusterOptions{ContextTimeoutEnabled: true, MaxRedirects: 1, DialerRetries: 1}
	for _, node := range h.Nodes {
		o.Addrs = append(o.Addrs, node.Addr)
	}
	client := redis.NewClusterClient(o)
	h.t.Cleanup(func() { _ = client.Close() }) // a test may have closed it
	return client
}

// NodeOf is the node that holds the key.
func (h *RedisClusterHandle) NodeOf(key string) *RedisHandle {
	h.t.Helper()
	client := h.Client()
	defer func() { _ = client.Close() }()
	master, err := client.MasterForKey(context.Background(), key)
	if err != nil {
		h.t.Fatalf("testenv: find the node of %s: %v", key, err)
	}
	for _, node := range h.Nodes {
		if node.Addr == master.Options().Addr {
			return node
		}
	}
	h.t.Fatalf("testenv: %s is on an unknown node %s", key, master.Options().Addr)
	return nil
}
