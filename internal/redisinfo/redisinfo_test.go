package redisinfo

import (
	"context"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestRead(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServerWith(t, redisserver.Options{AppendOnly: true, Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}})
	client := server.Client()
	servers, err := Read(t.Context(), client)
	if err != nil || len(servers) != 1 {
		t.Fatalf("%+v, %v", servers, err)
	}
	s := servers[0]
	if s.Addr != server.Addr || s.Version == "" || s.Replica || s.Policy != "allkeys-lru" || !s.Evicts() || s.MaxMemory != 64<<20 ||
		s.Used == 0 || s.SystemMemory == 0 || !s.AppendOnly || s.Writes != "" {
		t.Errorf("%+v", s)
	}
	if got := Setting(t.Context(), client, "appendfsync"); got != "everysec" {
		t.Errorf("appendfsync is %q", got)
	}
	if got := Setting(t.Context(), client, "no-such-setting"); got != "" {
		t.Errorf("what is no setting is %q", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ended, client); err == nil {
		t.Error("no error of a server that was not asked")
	}
}

// TestReadCluster: every node is asked, and one that is away leaves the others told.
func TestReadCluster(t *testing.T) {
	t.Parallel()
	cluster := testenv.RedisCluster(t)
	o := &redis.ClusterOptions{ContextTimeoutEnabled: true, MaxRedirects: -1, DialerRetries: 1}
	var want []string
	for _, node := range cluster.Nodes {
		o.Addrs, want = append(o.Addrs, node.Addr), append(want, node.Addr)
	}
	slices.Sort(want)
	client := redis.NewClusterClient(o)
	defer client.Close()
	addresses := func() (addresses []string, err error) {
		servers, err := Read(t.Context(), client)
		for _, s := range servers {
			addresses = append(addresses, s.Addr)
			if s.Evicts() || s.Policy != NoEviction {
				t.Errorf("%+v", s)
			}
		}
		return addresses, err
	}
	if got, err := addresses(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	cluster.Nodes[0].Kill()
	if got, err := addresses(); err == nil || len(got) != 2 {
		t.Errorf("without one: %v, %v", got, err)
	}
}

func TestUnknown(t *testing.T) {
	if (Server{}).Evicts() {
		t.Error("a server that tells nothing evicts")
	}
	for field, failed := range map[string]bool{"aof_last_write_status": true, "rdb_last_bgsave_status": true, "aof_last_bgrewrite_status": true, "other": false} {
		if got := writes(map[string]string{field: "err"}) != ""; got != failed {
			t.Errorf("%s: %v", field, got)
		}
	}
}
