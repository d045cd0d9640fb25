package main

import (
	"context"

	"github.com/kikuai/kikuai/billing"
)

// runJobs does what the house does on a schedule, on one instance at a time.
func (a *App) runJobs(ctx context.Context) error {
	return a.desk.Jobs.Run(ctx, a.jobs())
}

func (a *App) jobs() []billing.Job {
	return nil
}
