package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/llm"
)

// checkEvery is how often a provider is asked whether it is well. Connections live longer
// without use, so there is always a warm one.
const checkEvery = time.Minute

// checks asks the catalogue's providers now and then whether they are well, those that
// the catalogue has asked.
type checks struct {
	meter   *Meter
	every   time.Duration
	results *prometheus.CounterVec
}

func newChecks(m *Meter, every time.Duration, registerer prometheus.Registerer) *checks {
	if every <= 0 {
		every = checkEvery
	}
	c := &checks{meter: m, every: every, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_health_checks_total", Help: "Looks at providers' health, by whether they were well.",
	}, []string{"provider", "well"})}
	if registerer != nil {
		registerer.MustRegister(c.results)
	}
	return c
}

// Watch asks the providers until ctx is over. Its error is always nil.
func (m *Meter) Watch(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for provider, names := range m.checks.providers() {
		all.Go(func() { m.checks.watch(ctx, provider, names) })
	}
	<-ctx.Done()
	return nil
}

// providers are those that are asked, with the names of their deployments.
func (c *checks) providers() map[*llm.Provider][]string {
	found := map[*llm.Provider][]string{}
	for _, o := range c.meter.offers {
		for _, d := range o.Deployments() {
			if d.Provider.Health {
				if names := found[d.Provider]; !slices.Contains(names, d.Name()) { // models share some
					found[d.Provider] = append(names, d.Name())
				}
			}
		}
	}
	return found
}

// watch asks one provider, at once and then again and again. It notes when that changes.
func (c *checks) watch(ctx context.Context, p *llm.Provider, names []string) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	well := true
	for {
		err := c.meter.client.Check(ctx, p)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && well:
			c.meter.log.Warn("a provider is not well", "provider", p.Name, "err", err)
		case err == nil && !well:
			c.meter.log.Info("a provider is well again", "provider", p.Name)
		}
		well = err == nil
		c.results.WithLabelValues(p.Name, map[bool]string{true: "yes", false: "no"}[well]).Inc()
		for _, name := range names {
			c.meter.router.Deployment(name).Checked(c.meter.now(), well)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
