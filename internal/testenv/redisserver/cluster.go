package redisserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	slots     = 16384
	clusterIn = 20 * time.Second
	// nodeTimeout is how long a node may be silent before the others take it for
	// failed.
	nodeTimeout = time.Second
)

// Cluster is a Redis Cluster of masters only: each node holds its share of the
// slots, and what a node holds is away while the node is.
type Cluster struct {
	Nodes []*Server
}

// StartCluster runs as many nodes, gives each its share of the slots, and returns
// when every node knows every other. The shares are alike, in order.
func StartCluster(ctx context.Context, nodes int, o Options) (*Cluster, error) {
	o.Cluster = true
	c := &Cluster{}
	for range nodes {
		node, err := Start(ctx, o)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.Nodes = append(c.Nodes, node)
	}
	if err := c.join(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// URL is the cluster as a setting: the nodes' URLs, comma-separated.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		urls[i] = "redis://" + node.Addr
	}
	return strings.Join(urls, ",")
}

// Close stops the nodes and removes their directories.
func (c *Cluster) Close() error {
	errs := make([]error, len(c.Nodes))
	for i, node := range c.Nodes {
		errs[i] = node.Close()
	}
	return errors.Join(errs...)
}

// clusterArgs make a server a node. The nodes that are left serve what is theirs
// while one is away: a shard's keys are all on one node, so nothing is half there.
func (s *Server) clusterArgs() []string {
	return []string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
		"--cluster-port", strconv.Itoa(s.busPort),
		"--cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10),
		"--cluster-require-full-coverage", "no",
	}
}

// join deals out the slots and introduces the nodes to each other.
func (c *Cluster) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterIn)
	defer cancel()
	for i, node := range c.Nodes {
		from, to := slots*i/len(c.Nodes), slots*(i+1)/len(c.Nodes)-1
		if err := node.do(ctx, "CLUSTER", "ADDSLOTSRANGE", from, to); err != nil {
			return fmt.Errorf("give slots to a node: %w", err)
		}
		if err := node.do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return fmt.Errorf("number a node: %w", err)
		}
	}
	for i, node := range c.Nodes {
		for _, other := range c.Nodes[:i] {
			if err := node.do(ctx, "CLUSTER", "MEET", "127.0.0.1", other.port, other.busPort); err != nil {
				return fmt.Errorf("introduce a node: %w", err)
			}
		}
	}
	for _, node := range c.Nodes {
		if err := node.awaitCluster(ctx, len(c.Nodes)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) do(ctx context.Context, args ...any) error {
	client := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	return client.Do(ctx, args...).Err()
}

// awaitCluster waits until the node sees all slots served by as many nodes.
func (s *Server) awaitCluster(ctx context.Context, nodes int) error {
	client := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		info, err := client.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") &&
			strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) &&
			strings.Contains(info, fmt.Sprintf("cluster_size:%d", nodes)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster did not form: %w\n%s", errors.Join(ctx.Err(), err), info)
		case <-tick.C:
		}
	}
}
