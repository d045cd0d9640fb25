package main

import (
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

// commandsPerMinute is how many commands and buttons a person may send in any minute: more
// than anybody's fingers do.
const commandsPerMinute = 120

// openGuards makes the limits outside the metered path.
func (a *App) openGuards() error {
	source := ratelimit.NewRedis(a.stores.gathered)
	a.commands = ratelimit.NewGuard(source, "user", commandsPerMinute, time.Minute)
	a.topUps = ratelimit.NewGuard(source, "topups", int64(a.config.TopUpsPerHour), time.Hour)
	return nil
}
