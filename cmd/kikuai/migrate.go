package main

import (
	"fmt"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/postgres"
)

type migrateCommand struct{}

// Help is shown below the flags.
func (migrateCommand) Help() string { return settingsHelp }

func (migrateCommand) Run(t *terminal) error {
	c, err := t.load(config.NeedDatabase)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(t.ctx, c.DatabaseURL.Reveal()); err != nil {
		return err
	}
	pool, err := postgres.Open(t.ctx, c.DatabaseURL.Reveal(), postgres.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	ahead, err := postgres.Ahead(t.ctx, pool)
	if err != nil {
		return err
	}
	said := "The database's schema is up to date."
	if ahead > 0 {
		said = fmt.Sprintf("The database's schema is of a later release, by %d migrations, and was left as it is: this one works with it.", ahead)
	}
	if _, err = fmt.Fprintln(t.out, said); err != nil {
		return err
	}
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
