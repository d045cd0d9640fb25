package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// openPostgres makes the pools. The replica's metrics carry its name in front.
func (a *App) openPostgres() (err error) {
	tracer := telemetry.NewPostgresTracer(a.registry)
	a.postgres, err = postgres.New(context.Background(), a.config.DatabaseURL.Reveal(), postgres.Options{
		MaxConns: a.config.PostgresMaxConns, Registerer: a.registry, Tracer: tracer,
	})
	if err != nil {
		return err
	}
	if url := a.config.DatabaseReplicaURL; url.IsSet() {
		a.replica, err = postgres.New(context.Background(), url.Reveal(), postgres.Options{
			MaxConns: a.config.PostgresMaxConns, Registerer: prometheus.WrapRegistererWithPrefix("replica_", a.registry), Tracer: tracer,
		})
		if err != nil {
			return err
		}
	}
	a.reads = postgres.NewReads(postgres.ReadsOptions{
		Primary: a.postgres, Replica: a.replica, Log: a.log, Registerer: a.registry, MaxLag: a.config.ReplicaMaxLag,
	})
	return nil
}
