package talk

import (
	"path"
	"slices"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
)

// kind is how an attachment is read.
type kind uint8

const (
	kindNone     kind = iota
	kindPicture       // shown to the model
	kindSound         // written down
	kindDocument      // its words are read
)

// attachment is a file that a message carries and that can be read.
type attachment struct {
	kind kind
	file string // id, for fetching
	name string // as the person called it; may be empty
	size int64  // bytes, 0: not said
}

// attachmentOf finds what a message carries; its kind is kindNone where there is nothing
// that can be read.
func attachmentOf(m *models.Message) attachment {
	switch {
	case len(m.Photo) > 0:
		return photoOf(m.Photo)
	case m.Voice != nil:
		return attachment{kindSound, m.Voice.FileID, "voice.ogg", m.Voice.FileSize}
	case m.VideoNote != nil:
		return attachment{kindSound, m.VideoNote.FileID, "note.mp4", int64(m.VideoNote.FileSize)}
	case m.Audio != nil:
		return attachment{kindSound, m.Audio.FileID, soundName(m.Audio.FileName, m.Audio.MimeType), m.Audio.FileSize}
	case m.Animation != nil, m.Document == nil: // an animation comes with a document beside it
		return attachment{}
	}
	d := m.Document
	switch family, _, _ := strings.Cut(d.MimeType, "/"); family {
	case "image":
		return attachment{kindPicture, d.FileID, d.FileName, d.FileSize}
	case "audio":
		return attachment{kindSound, d.FileID, soundName(d.FileName, d.MimeType), d.FileSize}
	}
	return attachment{kindDocument, d.FileID, d.FileName, d.FileSize}
}

// carried is what a message is about beside its words: its own attachment, or that of the
// message it answers.
func carried(m *models.Message) (a attachment, own bool) {
	if a = attachmentOf(m); a.kind != kindNone || IsUnreadable(m) || m.ReplyToMessage == nil {
		return a, true
	}
	return attachmentOf(m.ReplyToMessage), false
}

// photoOf chooses the largest size that can be fetched.
func photoOf(sizes []models.PhotoSize) attachment {
	best := models.PhotoSize{}
	for _, s := range sizes {
		if s.FileSize <= bot.FileMost && (best.FileID == "" || s.Width*s.Height >= best.Width*best.Height) {
			best = s
		}
	}
	if best.FileID == "" {
		best = sizes[0]
	}
	return attachment{kindPicture, best.FileID, "", int64(best.FileSize)}
}

// soundName is a file's name with an end by which providers know its format.
func soundName(name, mime string) string {
	end := path.Ext(name)
	if end == "" || len(end) > 5 {
		end = map[string]string{
			"audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/x-m4a": ".m4a", "audio/ogg": ".ogg", "audio/opus": ".ogg",
			"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/flac": ".flac", "audio/x-flac": ".flac", "audio/webm": ".webm",
		}[mime]
	}
	return "sound" + strings.ToLower(end)
}

// WordsOf is what a person wrote: the text, or what stands under an attachment.
func WordsOf(m *models.Message) string {
	if m.Text != "" {
		return m.Text
	}
	return m.Caption
}

// IsUnreadable tells whether a person sent something that cannot be read, rather than the
// chat telling of itself.
func IsUnreadable(m *models.Message) bool {
	return slices.Contains([]bool{
		m.Sticker != nil, m.Animation != nil, m.Video != nil, m.Story != nil, m.LivePhoto != nil, m.PaidMedia != nil, m.Checklist != nil,
		m.Contact != nil, m.Dice != nil, m.Game != nil, m.Poll != nil, m.Venue != nil, m.Location != nil, m.RichMessage != nil,
		m.Giveaway != nil, m.Gift != nil, m.UniqueGift != nil, m.PassportData != nil, m.Invoice != nil,
	}, true)
}
