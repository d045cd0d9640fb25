package people

import (
	"context"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
)

// chats are people's conversations with models.
type chats interface {
	// ShowModels shows the models to choose from, ShowPersona what they are told.
	ShowModels(ctx context.Context, q hall.Request) error
	ShowPersona(ctx context.Context, q hall.Request) error
	// ForgetChat drops all that is kept of a chat.
	ForgetChat(ctx context.Context, chat int64) error
}

// Options are what the room needs beside the hall.
type Options struct {
	Payments *billing.Payments
	Gifts    *billing.Gifts
}

// Room is where people look after what is theirs.
type Room struct {
	*hall.Hall
	Options
	chats chats
}

// New opens the room. Settings lead to models and personas, and leaving forgets a chat.
func New(h *hall.Hall, o Options, c chats) *Room {
	return &Room{Hall: h, Options: o, chats: c}
}
