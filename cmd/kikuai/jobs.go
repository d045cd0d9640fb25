package main

import (
	"context"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/till"
)

const (
	noticesEvery = 5 * time.Second
	refundsEvery = time.Minute
	giftsEvery   = time.Minute
	starsEvery   = 10 * time.Minute
	starsWithin  = 5 * time.Minute
	eventsEvery  = 10 * time.Minute
	eventsWithin = 5 * time.Minute
	pruneEvery   = 24 * time.Hour
	monthsEvery  = 6 * time.Hour
	castsEvery   = 3 * time.Second
	menusEvery   = 10 * time.Minute
	outboxKept   = 30 * 24 * time.Hour // what was sent, for its name
)

// runJobs does what the house does on a schedule, on one instance at a time.
func (a *App) runJobs(ctx context.Context) error {
	return a.desk.Jobs.Run(ctx, a.jobs())
}

func (a *App) jobs() []billing.Job {
	jobs := []billing.Job{
		{Name: "checkouts", Every: pruneEvery, Do: a.desk.Checkouts.Prune},
		{Name: "gifts", Every: giftsEvery, Do: a.desk.Gifts.Return},
		{Name: "months", Every: monthsEvery, Do: a.makeMonths},
		a.forgetRequests(),
	}
	if a.telegram != nil {
		jobs = append(jobs,
			billing.Job{Name: "notices", Every: noticesEvery, Do: a.router.Till.SendNotices},
			billing.Job{Name: jobMenus, Every: menusEvery, Do: a.keepMenus},
			billing.Job{Name: "broadcasts", Every: castsEvery, Do: a.router.People.TendBroadcasts},
			billing.Job{Name: "outbox", Every: pruneEvery, Do: func(ctx context.Context) error { return a.outbox.Forget(ctx, outboxKept) }},
			billing.Job{Name: "refunds", Every: refundsEvery, Do: a.router.Till.FinishRefunds},
			billing.Job{Name: till.JobStars, Every: starsEvery, Within: starsWithin, Do: a.router.Till.ReconcileStars},
		)
	}
	if a.config.StripeSecretKey.IsSet() {
		jobs = append(jobs, billing.Job{Name: billing.JobCards, Every: eventsEvery, Within: eventsWithin, Do: a.desk.Checkouts.Reconcile})
		jobs = append(jobs, billing.Job{Name: "card-refunds", Every: refundsEvery, Do: func(ctx context.Context) error {
			return a.desk.Payments.FinishRefunds(ctx, billing.ProviderCard, a.desk.Checkouts)
		}})
	}
	return jobs
}

// makeMonths keeps the ledger's partitions ahead of the calendar.
func (a *App) makeMonths(ctx context.Context) error {
	months, err := a.desk.Ledger.MakeMonths(ctx)
	for _, m := range months {
		switch m.State {
		case billing.MonthMade:
			a.log.InfoContext(ctx, "month of the ledger made", "partition", m.Partition)
		case billing.MonthInDefault:
			a.log.WarnContext(ctx, "month of the ledger left in the default partition, which has rows of it", "partition", m.Partition)
		}
	}
	return err
}
