package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// openServer binds the public listener, so that an address in use is told at once.
func (a *App) openServer() (err error) {
	a.watch = newWatch(a.log, a.dependencies(), a.registry)
	probes := map[string]probe{checkRedis: a.watch.last(checkRedis), checkPostgres: a.watch.last(checkPostgres), checkLeases: a.watch.last(checkLeases)}
	var webhook fiber.Handler
	if a.webhook != nil {
		webhook = a.webhook.Handle
	}
	options := gateway.Options{
		Meter:      a.meter,
		Keys:       a.desk.Keys,
		KeyMaker:   a.desk.Keys,
		KeyBook:    a.desk.Keys,
		Checkouts:  a.desk.Checkouts,
		TopUps:     a.topUps,
		Proxies:    a.config.Proxies,
		Lists:      a.lists,
		Log:        a.log,
		Registerer: a.registry,
		Webhook:    webhook,
		Probes:     probes,
		BodyLimit:  a.config.BodyLimit,
		Notice:     a.config.DrainNotice,
	}
	options.Account = a.account()
	if a.telegram != nil {
		options.Invoices = a.router.Till
	}
	if most := a.config.AuthFailures; most > 0 {
		options.Failures = addresses{a.limiter, int64(most)}
	}
	if a.answers != nil {
		options.Answers = a.answers
	}
	if err = a.openTrails(&options); err != nil {
		return err
	}
	if err = a.openMiniApp(&options); err != nil {
		return err
	}
	a.server, err = gateway.New(options)
	if err != nil {
		return err
	}
	a.vitals = newVitals(a.stores.quick, a.desk.Ledger, a.postgres, a.log, a.registry)
	a.door = newFrontDoor(a.config.PublicURL, a.config.PublicProbe, a.log, a.registry)
	a.ops = telemetry.NewOps(a.config.OpsAddr, a.registry, a.health(probes), a.log)
	if a.listener, err = net.Listen("tcp", a.config.ListenAddr); err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	return nil
}

// operations answers operators until ctx ends. Where it cannot, its setting is what to mend.
func (a *App) operations(ctx context.Context) error {
	if err := a.ops.Run(ctx); err != nil {
		return fmt.Errorf("OPS_ADDR: %w", err)
	}
	return nil
}

// serve answers HTTP until ctx ends, and then what is under way.
func (a *App) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(a.listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainTimeout)
	defer cancel()
	return errors.Join(a.server.Shutdown(drain), <-served)
}

// baseURL is what key holders put into their SDK.
func (a *App) baseURL() string { return publicURL(a.config) + "/v1" }
