package main

import (
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

// commandsPerMinute is how many commands and buttons a person may send in any minute: more
// than anybody's fingers do.
const commandsPerMinute = 120

// filesPerHour is how many files with its usage an account may be sent in any hour.
const filesPerHour = 12

// openGuards makes the limits outside the metered path.
func (a *App) openGuards() error {
	a.commands = ratelimit.NewGuard(a.limiter, "user", commandsPerMinute, time.Minute)
	a.topUps = ratelimit.NewGuard(a.limiter, "topups", int64(a.config.TopUpsPerHour), time.Hour)
	a.files = ratelimit.NewGuard(a.limiter, "files", filesPerHour, time.Hour)
	return nil
}
