package webapp

import (
	"context"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
)

// listen hears what is new until ctx ends. What was told while it did not hear is made up
// for by a look at all that is watched.
func (l *Live) listen(ctx context.Context) {
	stream.Listen(ctx, l.subscriber, billing.FeedChannel, stream.Hearing{
		Subscribed: func(context.Context) error {
			l.sweep()
			return nil
		},
		Message: func(_ context.Context, text string) { l.heed(billing.ParseNews(text)) },
		Deaf:    func(err error) { l.log.Warn("what is new is not heard, and looked for instead", "error", err) },
	})
}
