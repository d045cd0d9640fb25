package main

import (
	"fmt"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/processes"
)

// Names of those that a kind of work keeps busy.
const (
	nameClient   = "client"
	nameUpstream = "upstream"
	nameHandler  = "handler" // kikuai, or the bare one
	nameRedis    = "Redis"
	namePostgres = "Postgres"
)

// partyNames are all of them, in the order of a request's way.
var partyNames = []string{nameClient, nameHandler, nameRedis, nameUpstream, namePostgres}

// parties are the processes that a kind of work keeps busy, by name.
type parties map[string]processes.Group

// processor is how much processor time each party has had.
func (p parties) processor() (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	for name, one := range p {
		at, err := one.Processor()
		if err != nil {
			return nil, fmt.Errorf("processor time of %s: %w", name, err)
		}
		times[name] = at
	}
	return times, nil
}
