package hall

import (
	"context"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
)

// Press is a button that somebody pressed.
type Press struct {
	Request
	Of    *bot.Update
	Query *models.CallbackQuery
	Data  string          // what follows the button's name
	Shown *models.Message // under which it is; nil: too old for Telegram to say
}

// Button is what a pressed button does; it must answer the query, whatever happens,
// or the person's client shows it as still working.
type Button struct {
	Name string // the data is this, or begins so where it ends with a colon
	Do   func(context.Context, Press) error
}
