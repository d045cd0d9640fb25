package telegramsim

import (
	"bytes"
	"image"
	"mime"
	"net/http"
	"path"
	"strings"
)

const (
	maxPhotoBytes = 10 << 20
	maxPhotoRatio = 20
	minPhotoName  = 20 // a file_id is longer than this
)

// sendFile is sendPhoto, sendDocument and their kin: a file of one kind with a caption
// (Client.cpp: process_send_photo_query, process_send_document_query…).
func sendFile(kind string) method {
	return func(s *Server, c *call) (any, *RefusalError) {
		up, stored, refusal := s.inputFile(c, kind, c.params[kind])
		if refusal != nil {
			return nil, refusal
		}
		caption, entities, refusal := inputText(c.params, "caption", "caption_entities")
		if refusal != nil {
			return nil, refusal
		}
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		o, refusal := s.open(c, func(r *room, buttons *markup) (refusal *RefusalError) {
			if caption, entities, refusal = fixCaption(caption, entities); refusal != nil {
				return refusal
			}
			return buttons.check(r)
		})
		if refusal != nil {
			return nil, refusal
		}
		m := o.message
		if stored != nil {
			m.Content = stored.content()
		} else if m.Content, refusal = s.keepUpload(c, kind, up); refusal != nil {
			return nil, refusal
		}
		m.Caption, m.CaptionEntities = caption, entities
		m.CaptionAbove, m.Spoiler = c.params.Bool("show_caption_above_media"), c.params.Bool("has_spoiler")
		return s.sendOpened(c, o), nil
	}
}

// inputFile finds what a call sends: a file that came with it, or one that Telegram has (Bot API: "Sending
// files"; Client.cpp: get_input_file). Files behind URLs are not fetched.
func (s *Server) inputFile(c *call, kind, given string) (*upload, *file, *RefusalError) {
	name := kind
	reference, isAttached := strings.CutPrefix(given, attached)
	if isAttached && c.uploads[kind].data == nil {
		name = reference
	}
	if up, ok := c.uploads[name]; ok {
		return &up, nil, checkUpload(kind, up)
	}
	switch {
	case given == "" || isAttached:
		return nil, nil, badRequest("there is no %s in the request", strings.ReplaceAll(kind, "_", " "))
	case strings.HasPrefix(given, "http://") || strings.HasPrefix(given, "https://"):
		return nil, nil, badRequest("failed to get HTTP URL content")
	}
	stored := s.files.find(given)
	switch {
	case stored == nil && len(given) < minPhotoName:
		return nil, nil, badRequest("wrong remote file identifier specified: Wrong string length")
	case stored == nil:
		return nil, nil, badRequest("wrong remote file identifier specified: can't unserialize it. Wrong last symbol")
	case stored.Kind != kind: // Bot API: "it is not possible to change the file type when resending files by file_id"
		return nil, nil, badRequest("can't use file of type %s as %s", fileType(stored.Kind), fileType(kind))
	}
	return nil, stored, nil
}

// fileType spells a kind as the server's errors do (TDLib: FileType).
func fileType(kind string) string {
	parts := strings.Split(kind, "_")
	for i, part := range parts {
		parts[i] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, "")
}

// checkUpload refuses what the servers cannot take (Bot API: sendPhoto, sendDocument; the words are TDLib's
// check_full_local_location and messages.sendMedia's).
func checkUpload(kind string, up upload) *RefusalError {
	switch {
	case len(up.data) == 0:
		return badRequest("file must be non-empty")
	case len(up.data) > maxUpload:
		return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case kind != "photo":
		return nil
	case len(up.data) > maxPhotoBytes:
		return badRequest("file of size %d bytes is too big for a photo; the maximum size is %d bytes", len(up.data), maxPhotoBytes)
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(up.data))
	switch {
	case err != nil:
		return badRequest("IMAGE_PROCESS_FAILED")
	case config.Width+config.Height > maxPhotoSides,
		max(config.Width, config.Height) > maxPhotoRatio*min(config.Width, config.Height):
		return badRequest("PHOTO_INVALID_DIMENSIONS")
	}
	return nil
}

// keepUpload keeps a file that came with a call.
func (s *Server) keepUpload(c *call, kind string, up *upload) (Content, *RefusalError) {
	a := Attachment{Kind: kind, Name: up.name, Data: up.data}
	if kind == "document" || kind == "audio" {
		a.MIME, _, _ = mime.ParseMediaType(mime.TypeByExtension(path.Ext(up.name)))
	}
	for name, field := range map[string]*int{"width": &a.Width, "height": &a.Height, "duration": &a.Seconds} {
		n, _ := c.params.Int(name)
		*field = int(min(max(n, 0), maxPhotoSides))
	}
	a.Title, a.Performer = c.params["title"], c.params["performer"]
	content, err := s.attach(a)
	if err != nil {
		return Content{}, badRequest("IMAGE_PROCESS_FAILED")
	}
	return content, nil
}

// fixCaption is fixText for captions, which may be empty.
func fixCaption(caption string, entities []Entity) (string, []Entity, *RefusalError) {
	caption, entities, refusal := formatted(caption, entities)
	if refusal == nil && utf16Len(caption) > maxCaption {
		refusal = badRequest("message caption is too long")
	}
	return caption, entities, refusal
}

func editMessageCaption(s *Server, c *call) (any, *RefusalError) {
	caption, entities, refusal := inputText(c.params, "caption", "caption_entities")
	if refusal != nil {
		return nil, refusal
	}
	return s.editMessage(c, func(m *Message) *RefusalError {
		if !m.media() {
			return badRequest("there is no caption in the message to edit")
		}
		m.Caption, m.CaptionEntities, refusal = fixCaption(caption, entities)
		m.CaptionAbove = c.params.Bool("show_caption_above_media")
		return refusal
	})
}
