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
	slots        = 16384
	clusterIn    = time.Minute
	introducedIn = 10 * time.Second
	// nodeTimeout is how long a node may be silent before the others take it for
	// failed.
	nodeTimeout = time.Second
)

// Cluster is a Redis Cluster. Without replicas, what a node holds is away while the node
// is; with them, a replica takes its master's place.
type Cluster struct {
	Nodes []*Server // the masters of the beginning, and behind them their replicas in the same order

	options Options
}

// StartCluster runs as many nodes, gives each its share of the slots, and returns
// when every node knows every other. The shares are alike, in order.
func StartCluster(ctx context.Context, nodes int, o Options) (*Cluster, error) {
	o.Cluster = true
	c := &Cluster{options: o}
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

// Replicate gives each node a replica, and returns when each has all that its master has.
func (c *Cluster) Replicate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterIn)
	defer cancel()
	masters := c.Nodes
	for _, master := range masters {
		replica, err := Start(ctx, c.options)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, replica)
		if err := replica.do(ctx, "CLUSTER", "MEET", "127.0.0.1", master.port, master.busPort); err != nil {
			return fmt.Errorf("introduce a replica: %w", err)
		}
		if err := replica.follow(ctx, master); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes {
		if err := node.awaitCluster(ctx, len(masters)); err != nil {
			return err
		}
	}
	return nil
}

// Synced waits until every live node is a master, or a replica that is connected to one.
func (c *Cluster) Synced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterIn)
	defer cancel()
	for _, node := range c.Nodes {
		if node.process == nil {
			continue
		}
		if err := node.await(ctx, "is a master or in step with one", func(client *redis.Client) bool {
			info, err := client.Info(ctx, "replication").Result()
			return err == nil && (strings.Contains(info, "role:master") || strings.Contains(info, "master_link_status:up"))
		}); err != nil {
			return err
		}
	}
	return nil
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
		"--cluster-replica-validity-factor", "0", // any replica rather than none
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
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
	for {
		err := c.introduce(ctx)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// introduce makes the nodes known to each other and waits for a while until each sees all:
// a node that was busy just then forgets whom it was introduced to.
func (c *Cluster) introduce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, introducedIn)
	defer cancel()
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

// follow makes a node a master's replica, as soon as it has heard of it, and returns when
// it has all that the master had.
func (s *Server) follow(ctx context.Context, master *Server) error {
	var id string
	if err := master.await(ctx, "tells its id", func(client *redis.Client) bool {
		var err error
		id, err = client.Do(ctx, "CLUSTER", "MYID").Text()
		return err == nil
	}); err != nil {
		return err
	}
	return s.await(ctx, "follows its master", func(client *redis.Client) bool {
		if client.Do(ctx, "CLUSTER", "REPLICATE", id).Err() != nil {
			return false // it has not heard of the master yet
		}
		info, err := client.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

// awaitCluster waits until the node sees all slots served by as many nodes.
func (s *Server) awaitCluster(ctx context.Context, nodes int) error {
	return s.await(ctx, "sees the whole cluster", func(client *redis.Client) bool {
		info, err := client.ClusterInfo(ctx).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok") &&
			strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) &&
			strings.Contains(info, fmt.Sprintf("cluster_size:%d", nodes))
	})
}

// await asks the node again and again until it is so.
func (s *Server) await(ctx context.Context, what string, so func(client *redis.Client) bool) error {
	client := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !so(client) {
		select {
		case <-ctx.Done():
			info, err := client.ClusterNodes(context.WithoutCancel(ctx)).Result()
			return fmt.Errorf("the node at %s does not say that it %s: %w\n%s", s.Addr, what, errors.Join(ctx.Err(), err), info)
		case <-tick.C:
		}
	}
	return nil
}
