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
	if _, err = fmt.Fprintln(t.out, "The database's schema is up to date."); err != nil {
		return err
	}
	pool, err := postgres.Open(t.ctx, c.DatabaseURL.Reveal(), postgres.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	may, err := postgres.MayRewrite(t.ctx, pool)
	if err == nil && may {
		_, err = fmt.Fprintln(t.errs, "Notice: "+adviceOnRole+".")
	}
	return err
}

// adviceOnRole is for a database on which the program has more rights than it needs.
const adviceOnRole = "the database user of DATABASE_URL may change what is in the ledger, and triggers alone keep it from that: " +
	"as a superuser, create role " + postgres.AppRole + ", grant it to that user and run kikuai migrate again; " +
	"or let kikuai serve log in as another user, a member of that role alone"
