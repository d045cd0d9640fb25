package main

import (
	"fmt"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/postgres"
)

type migrateCommand struct{}

func (migrateCommand) Run(t *terminal) error {
	c, err := config.Load(t.lookup, config.NeedDatabase)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(t.ctx, c.DatabaseURL.Reveal()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, "The database's schema is up to date.")
	return err
}
