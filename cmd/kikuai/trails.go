package main

import (
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/requestlog"
	"github.com/kikuai/kikuai/internal/telemetry"
)

const forgetEvery = time.Hour

// openTrails gives the server what its requests leave behind: the request log, and traces.
func (a *App) openTrails(o *gateway.Options) (err error) {
	if a.config.LogDays > 0 {
		if a.requests, err = requestlog.NewWriter(requestlog.Options{Postgres: a.postgres, Log: a.log, Registerer: a.registry}); err != nil {
			return err
		}
		o.Requests = a.requests
	}
	if a.config.TracesTo != "" {
		a.traces, err = telemetry.NewTraces(telemetry.TracesOptions{Endpoint: a.config.TracesTo, Service: "kikuai", Version: version(), Log: a.log})
		if err != nil {
			return err
		}
		o.Tracer = a.traces.Tracer()
	}
	return nil
}

// trails are what writes them. They stop after the last call, with nothing left.
func (a *App) trails() (s stage) {
	if a.requests != nil {
		s = append(s, service{"request log", a.requests.Run})
	}
	if a.traces != nil {
		s = append(s, service{"traces", a.traces.Run})
	}
	return s
}

// forgetRequests is the job that ends the life of the request log's rows.
func (a *App) forgetRequests() billing.Job {
	retention := requestlog.Retention{Postgres: a.postgres, Keep: time.Duration(a.config.LogDays) * 24 * time.Hour}
	return billing.Job{Name: "request-log", Every: forgetEvery, Do: retention.Forget}
}
