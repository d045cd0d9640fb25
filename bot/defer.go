package bot

import (
	"context"
	"fmt"
	"strconv"
)

// Defer keeps an update that passed its chat's queue by, such as a pressed button, to be
// handled once more in its turn: behind what waits in its chat. It is [Update.Deferred]
// then, and has no age at which it would be dropped. Repeating Defer for a day is harmless.
func (i *Inbox) Defer(ctx context.Context, u *Update) error {
	raw := string(u.Raw)
	e, err := open(raw)
	if err != nil {
		return err
	}
	claim := strconv.FormatInt(e.id, 10) + "+" // beside that of the update itself
	if _, err := i.script.Run(ctx, i.redis, i.keys[ordered][e.shard()], claim, raw).Int(); err != nil {
		return fmt.Errorf("%w: defer update %d: %w", ErrTryLater, e.id, err)
	}
	return nil
}
