package bot

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot/format"
)

const (
	captionMost  = 1024     // UTF-16 units under a photo or a document
	photoMost    = 10 << 20 // bytes
	documentMost = 50 << 20 // bytes
	attached     = "attach://"
)

var (
	// errEmptyText is a message with nothing to show; Telegram refuses those.
	errEmptyText = errors.New("bot: message without text")
	errTwoFiles  = errors.New("bot: message with a photo and a document")
	errNotAPhoto = errors.New("bot: a message's file can be replaced by a photo only")
)

// File is what goes with a message.
type File struct {
	Name string // as the person sees a document; it must end as its kind does (.png, .csv)
	Data []byte // of a photo at most 10 MB, of a document at most 50 MB; not changed while it is sent
}

// upload returns the file for one try at a call; each reads it from its beginning.
func (f *File) upload() models.InputFile {
	return &models.InputFileUpload{Filename: f.Name, Data: bytes.NewReader(f.Data)}
}

// part is a piece of a message that Telegram takes at once.
type part struct {
	text        string
	entities    []models.MessageEntity // of text
	file        bool                   // the message's file goes with it
	rich        bool                   // it is the whole message, as a rich one
	first, last bool                   // of the message's parts
}

// check tells what is wrong with the message's file.
func (m *Message) check() error {
	file, most := m.Photo, photoMost
	switch {
	case m.Photo != nil && m.Document != nil:
		return errTwoFiles
	case m.Document != nil:
		file, most = m.Document, documentMost
	case m.Photo == nil:
		return nil
	}
	if n := len(file.Data); n == 0 || n > most || file.Name == "" {
		return fmt.Errorf("bot: file of %d bytes, or without a name: Telegram takes 1 to %d", n, most)
	}
	return nil
}

// parts cuts the message into what Telegram takes at once, in the order it is sent.
// captioned: the text may be the file's caption.
func (m *Message) parts(captioned bool) ([]part, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	var parts []part
	whole := format.Text{String: strings.ToValidUTF8(m.Text, "\uFFFD"), Entities: m.Entities}
	for _, t := range whole.Split(format.MessageMost) {
		parts = append(parts, part{text: t.String, entities: t.Entities})
	}
	switch {
	case m.Photo == nil && m.Document == nil:
		if len(parts) == 0 {
			return nil, errEmptyText
		}
	case captioned && len(parts) == 1 && format.Units(parts[0].text) <= captionMost:
		parts[0].file = true
	default:
		parts = append(parts, part{file: true})
	}
	return parts, nil
}

// markup is what goes under a part.
func (m *Message) markup(p *part) models.ReplyMarkup {
	switch {
	case p.last && m.AskReply != "":
		return &models.ForceReply{ForceReply: true, InputFieldPlaceholder: m.AskReply}
	case p.last && m.Keyboard != nil:
		return m.Keyboard
	}
	return nil
}

// reply is what a part answers to.
func (m *Message) reply(p *part) *models.ReplyParameters {
	if !p.first || m.ReplyTo == 0 {
		return nil
	}
	return &models.ReplyParameters{MessageID: m.ReplyTo, AllowSendingWithoutReply: true}
}
