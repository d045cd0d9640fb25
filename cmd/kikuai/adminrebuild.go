package main

import (
	"fmt"

	"github.com/kikuai/kikuai/internal/stream"
)

// adminRebuild has Redis made again from Postgres, by the servers that run or come.
type adminRebuild struct {
	asJSON `embed:""`
}

type rebuildAnswer struct {
	Closed int `json:"shards_closed"`
}

func (c adminRebuild) Run(t *terminal) error {
	err := t.inOffice(func(o *office) error { return o.Shards.Close(t.ctx, operator()) })
	if err != nil {
		return err
	}
	if c.JSON {
		return c.print(t.out, rebuildAnswer{stream.Shards})
	}
	_, err = fmt.Fprintf(t.out, "All %d shards are closed: the servers make them again from Postgres and open them. Afterwards admin reconcile says 0 differences.\n", stream.Shards)
	return err
}
