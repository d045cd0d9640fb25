package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/redisinfo"
)

const (
	policyEvery = 30 * time.Second
	policyIn    = 2 * time.Second
)

// evictionGuard keeps the program from a Redis that may drop balances or limits when its
// memory is full. At the first look it refuses to run there. Later it says so and counts:
// a policy that somebody changed while calls run has dropped nothing yet, and to stop all
// servers over it would be the greater harm.
type evictionGuard struct {
	client   redis.UniversalClient
	log      *slog.Logger
	embedded bool // a Redis that dev brought, which tells no policy
	again    time.Duration
	nodes    *prometheus.GaugeVec

	looked bool            // some server has answered
	told   map[string]bool // nodes of which it was said that they evict
}

func newEvictionGuard(client redis.UniversalClient, log *slog.Logger, registerer prometheus.Registerer, embedded bool) *evictionGuard {
	g := &evictionGuard{
		client: client, log: log, embedded: embedded, again: policyEvery, told: map[string]bool{},
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "redis_eviction_nodes", Help: "Redis servers by whether they may evict keys when memory is full: never, possible, unknown. Anything possible endangers balances and limits.",
		}, []string{"eviction"}),
	}
	registerer.MustRegister(g.nodes)
	return g
}

// evictingError is why the program does not run on a Redis.
type evictingError struct{ servers []redisinfo.Server }

func (e *evictingError) Error() string { return mayEvict(e.servers...) + ", then start again" }

// mayEvict is what is wrong with servers, and the mend.
func mayEvict(servers ...redisinfo.Server) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.Addr + " (maxmemory-policy " + s.Policy + ")"
	}
	return "Redis may evict balances and limits when its memory is full: " + strings.Join(names, ", ") +
		". What may evict can serve as CACHE_REDIS_URL; here set maxmemory-policy noeviction in its configuration" +
		" and at once with CONFIG SET maxmemory-policy noeviction"
}

// run looks until ctx ends, first until Redis has answered once.
func (g *evictionGuard) run(ctx context.Context) error {
	for {
		pause := g.again
		if !g.looked {
			pause = watchEvery
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		if err := g.look(ctx); err != nil {
			return err
		}
	}
}

// look asks all nodes. Its error is an *evictingError of the first look that was answered.
func (g *evictionGuard) look(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, policyIn)
	defer cancel()
	servers, err := redisinfo.Read(within, g.client)
	if err != nil {
		g.log.DebugContext(ctx, "Redis does not tell its policy", "error", err)
	}
	if len(servers) == 0 {
		return nil
	}
	var never, unknown int
	var evicting []redisinfo.Server
	for _, s := range servers {
		switch {
		case s.Evicts():
			evicting = append(evicting, s)
		case s.Policy == "":
			unknown++
		default:
			never++
		}
	}
	g.nodes.WithLabelValues("never").Set(float64(never))
	g.nodes.WithLabelValues("possible").Set(float64(len(evicting)))
	g.nodes.WithLabelValues("unknown").Set(float64(unknown))
	first := !g.looked
	g.looked = true
	if first && len(evicting) > 0 {
		return &evictingError{evicting}
	}
	if first && unknown > 0 && !g.embedded {
		g.log.WarnContext(ctx, fmt.Sprintf("%d Redis servers do not tell their maxmemory-policy: see to it that it is noeviction, or balances can be lost", unknown))
	}
	g.tell(ctx, servers)
	return nil
}

// tell says of each node once that it evicts, and that it does no longer.
func (g *evictionGuard) tell(ctx context.Context, servers []redisinfo.Server) {
	for _, s := range servers {
		switch evicts := s.Evicts(); {
		case evicts && !g.told[s.Addr]:
			g.log.ErrorContext(ctx, mayEvict(s))
		case !evicts && g.told[s.Addr]:
			g.log.InfoContext(ctx, "Redis evicts no longer", "redis", s.Addr)
		}
		g.told[s.Addr] = s.Evicts()
	}
}
