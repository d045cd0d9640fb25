package bot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/stream"
)

// Update is one update as Telegram sent it, and decoded.
type Update struct {
	ID  int64
	Raw []byte
	models.Update
	Deferred bool // it was put behind what waited in its chat, by [Inbox.Defer]

	following *following // nil: nothing can be taken
}

// Handler does what an update asks for. It may see an update more than once, and must
// return soon after ctx ends. An error is worth another try; see [ErrTryLater].
type Handler interface {
	Handle(ctx context.Context, u *Update) error
}

var (
	// ErrTryLater wrapped in a handler's error says that a dependency is away: the
	// update is tried again for as long as it is worth anything, and the tries are
	// not counted.
	ErrTryLater = errors.New("try again later")

	// errUnreadable is an update that cannot be put in order: not JSON, or no id.
	errUnreadable = errors.New("bot: unreadable update")
)

// lane is the stream of its shard that an update travels in.
type lane uint8

const (
	ordered  lane = iota
	urgent        // past the chat's queue
	checkout      // past everything: Telegram waits ten seconds, and a person looks on
	laneCount
)

// String is the name of the lane's stream.
func (l lane) String() string {
	switch l {
	case urgent:
		return "urgent"
	case checkout:
		return "checkout"
	default:
		return "inbox"
	}
}

// envelope is what must be known of an update to put it in its place.
type envelope struct {
	id   int64
	kind string // name of the one field beside update_id; empty if there is none
	key  int64  // ordering key: id of the chat, else of the user, else of the update
	lane lane
	paid bool // a message that money was paid or given back
	stop bool // somebody stops an answer
}

func (e envelope) shard() stream.Shard { return stream.ShardOfChat(e.key) }

const idMost = 1 << 53 // larger integers are not exact everywhere in JSON

// kindUnknown stands for every type of update that we do not know, in metrics.
const kindUnknown = "unknown"

// knownKind returns kind if Telegram documents it, without keeping the text it was
// cut from, and kindUnknown otherwise.
func knownKind(kind string) string {
	switch kind {
	case "message":
		return "message"
	case "callback_query":
		return "callback_query"
	}
	for _, known := range kinds() {
		if kind == known {
			return known
		}
	}
	return kindUnknown
}

// kinds lists the types of update of the Bot API as the library decodes them.
func kinds() []string {
	return []string{
		models.AllowedUpdateMessage,
		models.AllowedUpdateEditedMessage,
		models.AllowedUpdateChannelPost,
		models.AllowedUpdateEditedChannelPost,
		models.AllowedUpdateBusinessConnection,
		models.AllowedUpdateBusinessMessage,
		models.AllowedUpdateEditedBusinessMessage,
		models.AllowedUpdateDeletedBusinessMessages,
		models.AllowedUpdateGuestMessage,
		models.AllowedUpdateMessageReaction,
		models.AllowedUpdateMessageReactionCount,
		models.AllowedUpdateInlineQuery,
		models.AllowedUpdateChosenInlineResult,
		models.AllowedUpdateCallbackQuery,
		models.AllowedUpdateShippingQuery,
		models.AllowedUpdatePreCheckoutQuery,
		models.AllowedUpdatePurchasedPaidMedia,
		models.AllowedUpdatePoll,
		models.AllowedUpdatePollAnswer,
		models.AllowedUpdateMyChatMember,
		models.AllowedUpdateChatMember,
		models.AllowedUpdateChatJoinRequest,
		models.AllowedUpdateChatBoost,
		models.AllowedUpdateRemovedChatBoost,
		models.AllowedUpdateManagedBot,
		models.AllowedUpdateSubscription,
		models.AllowedUpdateStoppedMessageGeneration,
	}
}

// AllowedUpdates lists the types of update that the bot asks Telegram for. It is always
// sent, because leaving it out keeps whatever was set before.
func AllowedUpdates() []string {
	return []string{
		models.AllowedUpdateMessage,
		models.AllowedUpdateEditedMessage,
		models.AllowedUpdateCallbackQuery,
		models.AllowedUpdateInlineQuery,
		models.AllowedUpdateChosenInlineResult,
		models.AllowedUpdateShippingQuery,
		models.AllowedUpdatePreCheckoutQuery,
		models.AllowedUpdatePurchasedPaidMedia,
		models.AllowedUpdateSubscription,
		models.AllowedUpdateMyChatMember,
		models.AllowedUpdateStoppedMessageGeneration,
	}
}

// open reads the envelope of a raw update. Its strings are parts of raw.
func open(raw string) (envelope, error) {
	if !gjson.Valid(raw) {
		return envelope{}, fmt.Errorf("%w: not JSON", errUnreadable)
	}
	root := gjson.Parse(raw)
	if !root.IsObject() {
		return envelope{}, fmt.Errorf("%w: not an object", errUnreadable)
	}
	var e envelope
	var content gjson.Result
	root.ForEach(func(name, value gjson.Result) bool {
		switch {
		case name.Str == "update_id":
			e.id, _ = integer(value)
		case e.kind == "" && value.IsObject():
			e.kind, content = name.Str, value
		}
		return true
	})
	if e.id <= 0 || e.id > idMost {
		return envelope{}, fmt.Errorf("%w: no usable update_id", errUnreadable)
	}
	e.key = orderingKey(content, e.id)
	e.lane, e.paid = place(e.kind, content)
	e.stop = e.lane == urgent && isStopOf(e.kind, content)
	return e, nil
}

// orderingKey is the id of the chat that the update came from, else of the person,
// else fallback.
func orderingKey(content gjson.Result, fallback int64) int64 {
	if !content.IsObject() {
		return fallback
	}
	for _, path := range [...]string{"chat.id", "message.chat.id", "from.id", "user.id", "voter_chat.id"} {
		if id, ok := integer(content.Get(path)); ok && id != 0 {
			return id
		}
	}
	return fallback
}

// place says which lane an update travels in, and whether it tells of money.
func place(kind string, content gjson.Result) (l lane, paid bool) {
	switch kind {
	case models.AllowedUpdatePreCheckoutQuery:
		return checkout, false
	case models.AllowedUpdateShippingQuery, models.AllowedUpdateSubscription,
		models.AllowedUpdateStoppedMessageGeneration,
		models.AllowedUpdateCallbackQuery, models.AllowedUpdateInlineQuery:
		return urgent, false
	case models.AllowedUpdateMessage:
		if content.Get("successful_payment").IsObject() || content.Get("refunded_payment").IsObject() {
			return urgent, true
		}
		if isStop(content.Get("text").Str) {
			return urgent, false
		}
	}
	return ordered, false
}

// StopData begins the data of every button that stops an answer.
const StopData = "stop:"

// isStopOf tells whether an update stops an answer.
func isStopOf(kind string, content gjson.Result) bool {
	switch kind {
	case models.AllowedUpdateStoppedMessageGeneration:
		return true
	case models.AllowedUpdateCallbackQuery:
		return strings.HasPrefix(content.Get("data").Str, StopData)
	case models.AllowedUpdateMessage:
		return isStop(content.Get("text").Str)
	}
	return false
}

// isStop tells whether text is the command /stop or /stop@name, with nothing else
// that could mean something.
func isStop(text string) bool {
	const command = "/stop"
	if len(text) < len(command) || !strings.EqualFold(text[:len(command)], command) {
		return false
	}
	rest := text[len(command):]
	return rest == "" || rest[0] == '@' || rest[0] == ' ' || rest[0] == '\n'
}

// integer returns the value of a JSON number written as an integer.
func integer(value gjson.Result) (int64, bool) {
	if value.Type != gjson.Number {
		return 0, false
	}
	n, err := strconv.ParseInt(value.Raw, 10, 64)
	return n, err == nil
}

// Decode reads an update that was kept as Telegram sent it.
func Decode(raw []byte) (*Update, error) {
	e, err := open(string(raw))
	if err != nil {
		return nil, err
	}
	u := &Update{ID: e.id, Raw: raw}
	return u, decode(u)
}
