package main

import (
	"context"
	"os"
	"time"

	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llm/route"
)

const settleIn = 10 * time.Second // for calls and holds that are left after the drain

func (a *App) openMeter() error {
	catalogue, err := loadCatalogue(a.config, os.Getenv)
	if err != nil {
		return err
	}
	if err := a.tellCatalogue(catalogue); err != nil {
		return err
	}
	a.models = catalogue
	a.provider = llm.NewClient(llm.ClientOptions{Registerer: a.registry})
	a.meter, err = gateway.NewMeter(gateway.MeterOptions{
		Redis:      a.stores.gathered,
		Holds:      a.desk.Holds,
		Backlog:    a.desk.Backlog,
		Catalogue:  catalogue,
		Client:     a.provider,
		Log:        a.log,
		Registerer: a.registry,
		Limits:     a.houseLimits(),
		Everyone:   int64(a.config.GlobalPerMinute),
		Groups:     a.desk.Keys,
		Claims:     a.desk.Organisations,
		Breaker:    a.breaker,
		Circuits: route.BreakerOptions{
			Failures: a.config.BreakerFailures, Recovery: a.config.BreakerRecovery, Trials: a.config.BreakerHalfOpenCalls,
		},
		Silence:   a.stores.ears.silence,
		HoldLife:  a.config.HoldLife,
		Decisions: a.decisions,
	})
	return err
}

// closeMeter waits, once nothing new comes in, for the last calls and holds.
func (a *App) closeMeter(ctx context.Context) error {
	<-ctx.Done()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	return a.meter.Close(within)
}
