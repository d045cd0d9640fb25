// Package redisinfo reads what Redis servers say of themselves: whether they may forget
// what is in them, and how they are.
package redisinfo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// NoEviction is the only policy under which Redis never drops a key for want of room.
const NoEviction = "noeviction"

// Server is one Redis server. What it did not tell is zero.
type Server struct {
	Addr    string // host:port
	Version string // 7.0.15
	Replica bool   // of another server

	Policy       string // maxmemory-policy; "": it is not told
	MaxMemory    int64  // bytes; 0: no bound
	Used         int64  // bytes
	SystemMemory int64  // bytes of its machine

	AppendOnly bool
	// Writes says what went wrong with its last write to disk, "" for nothing.
	Writes string
}

// Evicts tells whether the server may drop keys of its own accord.
func (s Server) Evicts() bool { return s.Policy != "" && s.Policy != NoEviction }

// Read asks every server that the client leads to, of a cluster the replicas too. The
// servers come in the order of their addresses; the error is of those that did not answer.
func Read(ctx context.Context, client redis.UniversalClient) ([]Server, error) {
	one, ok := client.(*redis.Client)
	if ok {
		s, err := read(ctx, one)
		if err != nil {
			return nil, err
		}
		return []Server{s}, nil
	}
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return nil, fmt.Errorf("redisinfo: a client of type %T", client)
	}
	var (
		mu     sync.Mutex
		found  []Server
		faults []error
	)
	err := cluster.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
		s, err := read(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			faults = append(faults, err)
			return nil
		}
		found = append(found, s)
		return nil
	})
	if err != nil {
		faults = append(faults, fmt.Errorf("the cluster's layout: %w", err))
	}
	slices.SortFunc(found, func(a, b Server) int { return strings.Compare(a.Addr, b.Addr) })
	return found, errors.Join(faults...)
}

func read(ctx context.Context, node *redis.Client) (Server, error) {
	s := Server{Addr: node.Options().Addr}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.Addr, err)
	}
	fields := parse(text)
	s.Version, s.Replica = fields["redis_version"], fields["role"] == "slave"
	s.Policy, s.AppendOnly, s.Writes = fields["maxmemory_policy"], fields["aof_enabled"] == "1", writes(fields)
	s.MaxMemory, s.Used, s.SystemMemory = number(fields["maxmemory"]), number(fields["used_memory"]), number(fields["total_system_memory"])
	if s.Policy == "" {
		s.Policy = Setting(ctx, node, "maxmemory-policy")
	}
	return s, nil
}

// Setting is one of the server's settings, "" where it tells none, as managed ones do.
func Setting(ctx context.Context, node *redis.Client, name string) string {
	return node.ConfigGet(ctx, name).Val()[name]
}

// parse reads the lines name:value of INFO.
func parse(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0 // not told
	}
	return n
}

// writes says which of the last writes to disk failed.
func writes(fields map[string]string) string {
	for _, row := range [][2]string{
		{"aof_last_write_status", "the append-only file cannot be written"},
		{"aof_last_bgrewrite_status", "the append-only file could not be rewritten"},
		{"rdb_last_bgsave_status", "the last snapshot failed"},
	} {
		if status := fields[row[0]]; status != "" && status != "ok" {
			return row[1]
		}
	}
	return ""
}
