package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

const probeIn = 250 * time.Millisecond

// HeaderDoctor carries a question that only this house can ask: the moment in Unix seconds,
// a point, and its seal for [PurposeDoctor]. GET /health answers it with the address that
// the call counts as coming from.
const HeaderDoctor = "X-Kikuai-Doctor"

// PurposeDoctor is what the seal of [HeaderDoctor] is for.
const PurposeDoctor = "doctor"

// doctorIn is how old a question may be, or how far in the future by another clock.
const doctorIn = 5 * time.Minute

// health answers GET /health: the process lives.
func (s *Server) health(c *fiber.Ctx) error {
	answer := struct {
		Status  string `json:"status"`
		Address string `json:"address,omitempty"`
	}{Status: "alive"}
	if s.asksDoctor(c.Get(HeaderDoctor)) {
		answer.Address = s.sender(c).String()
	}
	return c.JSON(answer)
}

func (s *Server) asksDoctor(question string) bool {
	moment, seal, ok := strings.Cut(question, ".")
	if !ok || s.account == nil || s.account.Seals == nil {
		return false
	}
	at, err := strconv.ParseInt(moment, 10, 64)
	return err == nil && s.now().Sub(time.Unix(at, 0)).Abs() <= doctorIn && s.account.Seals.Sealed(PurposeDoctor, moment, seal)
}

const (
	probeOK       = "ok"
	probeExcluded = "excluded"
)

// ready answers GET /readyz: 200 when all that a call needs is there, else 503,
// and what is missing. Causes go to the log, not to the client. Parameters exclude name
// checks that do not count: calls go on for a while without Postgres, and a balancer that
// asked for it would take every instance out of service at once. A name that is no check's
// is told of: whoever misspelt it would think that the check is left out.
func (s *Server) ready(c *fiber.Ctx) error {
	var excluded []string
	for _, name := range c.Request().URI().QueryArgs().PeekMulti("exclude") {
		if _, known := s.probes[string(name)]; !known {
			return &llm.RequestError{Param: "exclude", Message: fmt.Sprintf(`"exclude" names a check, and %.40q is none. There are: %s.`,
				name, strings.Join(slices.Sorted(maps.Keys(s.probes)), ", "))}
		}
		excluded = append(excluded, string(name))
	}
	checks := s.probe(excluded)
	status := "ready"
	for _, result := range checks {
		if result != probeOK && result != probeExcluded {
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

// probe asks all probes at once, except those that are excluded; they heed their context.
func (s *Server) probe(excluded []string) map[string]string {
	ctx, cancel := context.WithTimeout(s.base, probeIn)
	defer cancel()
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		checks = make(map[string]string, len(s.probes))
	)
	for name, probe := range s.probes {
		if slices.Contains(excluded, name) {
			mu.Lock()
			checks[name] = probeExcluded
			mu.Unlock()
			continue
		}
		all.Go(func() {
			result := probeOK
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
