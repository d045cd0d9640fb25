package handlers

import (
	"context"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/till"
)

// Options are what the rooms need, and the way to the Mini App.
type Options struct {
	Hall   hall.Options
	Till   till.Options
	Talk   talk.Options
	People people.Options
	// App is the address of the Mini App; empty where it is not served. nil: it never is.
	App func(context.Context) string
}

// Router sends each update to the room it is meant for. It implements [bot.Handler].
type Router struct {
	*hall.Hall
	Till     *till.Room
	Talk     *talk.Room
	People   *people.Room
	App      func(context.Context) string
	commands map[string]func(context.Context, hall.Request) error
}

// New opens the rooms.
func New(o Options) *Router {
	r := &Router{Hall: hall.New(o.Hall), App: o.App}
	r.Till = till.New(r.Hall, o.Till)
	r.Talk = talk.New(r.Hall, o.Talk, func(m *models.Message) bool { return r.Till.IsAmountReply(m) || r.People.IsFeedbackReply(m) })
	r.People = people.New(r.Hall, o.People, r.Talk)
	r.commands = map[string]func(context.Context, hall.Request) error{
		"start":          r.start,
		"help":           r.People.Help,
		"balance":        r.Till.Balance,
		"newkey":         r.People.NewKey,
		"keys":           r.People.ListKeys,
		"new":            r.Talk.Forget,
		"retry":          r.Talk.Retry,
		"model":          r.Talk.ShowModels,
		"system":         r.Talk.ShowPersona,
		"export":         r.Talk.Export,
		talk.CommandStop: r.Talk.StopCommand,
		"topup":          r.Till.TopUp,
		"usage":          r.Till.Usage,
		"gift":           r.Till.Gift,
		"invite":         r.Till.Invite,
		till.CommandPay:  r.Till.PaidGroups,
		"app":            r.app,
		"settings":       r.People.ShowSettings,
		"feedback":       r.People.Feedback,
		"terms":          r.People.Terms,
		"privacy":        r.People.Privacy,
		"paysupport":     r.Till.PaySupport,
		"deleteaccount":  r.People.DeleteAccount,
	}
	return r
}
