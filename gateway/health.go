package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

const probeIn = 250 * time.Millisecond

// health answers GET /health: the process lives.
func (s *Server) health(c *fiber.Ctx) error {
	return c.JSON(map[string]string{"status": "alive"})
}

// ready answers GET /readyz: 200 when all that a call needs is there, else 503,
// and what is missing. Causes go to the log, not to the client.
func (s *Server) ready(c *fiber.Ctx) error {
	checks := s.probe()
	status := "ready"
	for _, result := range checks {
		if result != "ok" {
			status = "not ready"
		}
	}
	if s.draining.Load() {
		status = "shutting down"
	}
	if status != "ready" {
		c.Status(fiber.StatusServiceUnavailable)
		c.Set(fiber.HeaderRetryAfter, "1")
	}
	return c.JSON(struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{status, checks})
}

// probe asks all probes at once; they heed their context.
func (s *Server) probe() map[string]string {
	ctx, cancel := context.WithTimeout(s.base, probeIn)
	defer cancel()
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		checks = make(map[string]string, len(s.probes))
	)
	for name, probe := range s.probes {
		all.Go(func() {
			result := "ok"
			if err := probe(ctx); err != nil {
				result = "failing"
				s.log.Debug("probe failed", "probe", name, "err", err)
			}
			mu.Lock()
			defer mu.Unlock()
			checks[name] = result
		})
	}
	all.Wait()
	return checks
}
