package talk

import (
	"context"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
)

// completer is the metered path to a model.
type completer interface {
	Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error)
}

// Options are what conversations need beside the hall.
type Options struct {
	Completer completer
	Files     files  // what people send; nil: nothing is fetched
	Hearer    hearer // nil: nothing is heard
	HearModel string // that writes down what is said; empty: nothing is heard
	// Subscriber hears of stops that other instances were told of, for Listen; nil where
	// that does not run.
	Subscriber subscriber
	MaxOutput  int64 // tokens of an answer, at most
	// SummaryModel sums up long conversations; empty: the model that answers.
	SummaryModel string
	Catalogue    *llm.Catalogue // what can be chosen; nil: the hall's model alone
	Later        later          // puts presses behind what their chat has waiting
	// After is a channel that is sent to when so much time has passed; nil: time.After.
	After func(time.Duration) <-chan time.Time
}

// Room is where people talk to models.
type Room struct {
	*hall.Hall
	Options
	form    func(*models.Message) bool
	turns   conversations
	running *running
	bench   *bench
}

// New opens the room. form tells whether a message answers what another room asked for,
// such as an amount: it is no question then.
func New(h *hall.Hall, o Options, form func(*models.Message) bool) *Room {
	if o.After == nil {
		o.After = time.After
	}
	return &Room{Hall: h, Options: o, form: form, turns: conversations{redis: h.Redis}, running: newRunning(), bench: newBench()}
}
