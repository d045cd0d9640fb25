package telegramsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// FileRef names a file: file_id is the bot's own name of it, file_unique_id everybody's.
type FileRef struct {
	FileID       string `json:"file_id"`
	FileUniqueID string `json:"file_unique_id"`
	FileSize     int64  `json:"file_size,omitempty"` // bytes
}

// PhotoSize is the Bot API's PhotoSize.
type PhotoSize struct {
	FileRef
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Document is the Bot API's Document.
type Document struct {
	FileRef
	FileName string `json:"file_name,omitempty"`
	MIMEType string `json:"mime_type,omitempty"`
}

// Voice is the Bot API's Voice. Duration is in seconds, as everywhere here.
type Voice struct {
	FileRef
	Duration int    `json:"duration"`
	MIMEType string `json:"mime_type,omitempty"`
}

// Audio is the Bot API's Audio.
type Audio struct {
	FileRef
	Duration  int    `json:"duration"`
	Performer string `json:"performer,omitempty"`
	Title     string `json:"title,omitempty"`
	FileName  string `json:"file_name,omitempty"`
	MIMEType  string `json:"mime_type,omitempty"`
}

// Video is the Bot API's Video, and its Animation, which has the same fields.
type Video struct {
	FileRef
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Duration int    `json:"duration"`
	FileName string `json:"file_name,omitempty"`
	MIMEType string `json:"mime_type,omitempty"`
}

// VideoNote is the Bot API's VideoNote; Length is its width and height.
type VideoNote struct {
	FileRef
	Length   int `json:"length"`
	Duration int `json:"duration"`
}

// Content is what a message carries beside or instead of text. What is kept as JSON has the documented shape
// of its field and means nothing to the simulator.
type Content struct {
	Caption         string      `json:"caption,omitempty"`
	CaptionEntities []Entity    `json:"caption_entities,omitempty"`
	CaptionAbove    bool        `json:"show_caption_above_media,omitempty"`
	Spoiler         bool        `json:"has_media_spoiler,omitempty"`
	MediaGroupID    string      `json:"media_group_id,omitempty"`
	Photo           []PhotoSize `json:"photo,omitempty"` // the smallest first
	Document        *Document   `json:"document,omitempty"`
	Voice           *Voice      `json:"voice,omitempty"`
	Audio           *Audio      `json:"audio,omitempty"`
	Video           *Video      `json:"video,omitempty"`
	VideoNote       *VideoNote  `json:"video_note,omitempty"`
	Animation       *Video      `json:"animation,omitempty"` // with Document beside it (Bot API: Message)

	Sticker   json.RawMessage `json:"sticker,omitempty"`
	Story     json.RawMessage `json:"story,omitempty"`
	LivePhoto json.RawMessage `json:"live_photo,omitempty"`
	PaidMedia json.RawMessage `json:"paid_media,omitempty"`
	Checklist json.RawMessage `json:"checklist,omitempty"`
	Contact   json.RawMessage `json:"contact,omitempty"`
	Dice      json.RawMessage `json:"dice,omitempty"`
	Game      json.RawMessage `json:"game,omitempty"`
	Poll      json.RawMessage `json:"poll,omitempty"`
	Venue     json.RawMessage `json:"venue,omitempty"`
	Location  json.RawMessage `json:"location,omitempty"`
	Rich      json.RawMessage `json:"rich_message,omitempty"`
}

// things are the contents that a person can send beside text and files, and the type of their field.
var things = map[string]string{
	"sticker": "Sticker", "story": "Story", "live_photo": "LivePhoto", "paid_media": "PaidMediaInfo", "checklist": "Checklist",
	"contact": "Contact", "dice": "Dice", "game": "Game", "poll": "Poll", "venue": "Venue", "location": "Location",
}

// Things lists the contents that Saying.Thing can name, in order.
func Things() []string {
	names := make([]string, 0, len(things))
	for name := range things {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ErrThing says that a content is of no kind that people send, or has not its documented shape.
var ErrThing = errors.New("telegramsim: not a content that people send")

// setThing puts a content into c: shape is its JSON, nil for a sample of its kind.
func (c *Content) setThing(name string, shape json.RawMessage) error {
	kind, ok := things[name]
	if !ok {
		return fmt.Errorf("%w: %q", ErrThing, name)
	}
	if shape == nil {
		shape = spec.Object(kind)
	}
	if err := spec.CheckObject(kind, shape); err != nil {
		return fmt.Errorf("%w: %w", ErrThing, err)
	}
	return json.Unmarshal(mustJSON(map[string]json.RawMessage{name: shape}), c)
}

// media tells whether there is something that a caption can stand below.
func (c *Content) media() bool {
	return c.Photo != nil || c.Document != nil || c.Voice != nil || c.Audio != nil || c.Video != nil || c.Animation != nil ||
		c.LivePhoto != nil || c.PaidMedia != nil
}
