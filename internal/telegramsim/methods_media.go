package telegramsim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// medium is a decoded InputMedia.
type medium struct {
	kind     string
	up       *upload
	stored   *file
	caption  string
	entities []Entity
	above    bool
	spoiler  bool
}

// inputMedium decodes an InputMedia (Client.cpp: get_input_media).
func (s *Server) inputMedium(c *call, v gjson.Result) (*medium, *RefusalError) {
	wrong := func(what string) *RefusalError { return badRequest("can't parse InputMedia: %s", what) }
	switch {
	case !v.IsObject():
		return nil, wrong("expected an Object")
	case v.Get("type").Type != gjson.String:
		return nil, wrong(`can't find field "type"`)
	case v.Get("media").String() == "":
		return nil, wrong("media not found")
	}
	d := &medium{kind: v.Get("type").String(), above: v.Get("show_caption_above_media").Bool(), spoiler: v.Get("has_spoiler").Bool()}
	if _, ok := shelves[d.kind]; !ok || d.kind == "voice" || d.kind == "video_note" {
		return nil, wrong(`type "` + d.kind + `" is unsupported`)
	}
	var refusal *RefusalError
	p := Params{"caption": v.Get("caption").String(), "parse_mode": v.Get("parse_mode").String(), "caption_entities": v.Get("caption_entities").Raw}
	if d.caption, d.entities, refusal = inputText(p, "caption", "caption_entities"); refusal != nil {
		return nil, refusal
	}
	d.up, d.stored, refusal = s.inputFile(c, d.kind, v.Get("media").String())
	return d, refusal
}

// content keeps the file, where it is new, and shows it with its caption.
func (s *Server) mediumContent(c *call, d *medium) (content Content, refusal *RefusalError) {
	if d.stored != nil {
		content = d.stored.content()
	} else if content, refusal = s.keepUpload(c, d.kind, d.up); refusal != nil {
		return Content{}, refusal
	}
	content.CaptionAbove, content.Spoiler = d.above, d.spoiler
	content.Caption, content.CaptionEntities, refusal = fixCaption(d.caption, d.entities)
	return content, refusal
}

// editMessageMedia replaces a file, or a text by a file (Bot API: editMessageMedia).
func editMessageMedia(s *Server, c *call) (any, *RefusalError) {
	raw := c.params["media"]
	if raw == "" {
		return nil, badRequest("input media is empty")
	}
	if !gjson.Valid(raw) {
		return nil, badRequest("can't parse input media JSON object")
	}
	d, refusal := s.inputMedium(c, gjson.Parse(raw))
	if refusal != nil {
		return nil, refusal
	}
	return s.editMessage(c, func(m *Message) *RefusalError {
		if m.Invoice != nil {
			return badRequest("message can't be edited")
		}
		if m.MediaGroupID != "" && albums[d.kind] != albums[m.kind()] {
			return badRequest("message can't be edited") // an album stays of one sort
		}
		content, refusal := s.mediumContent(c, d)
		if refusal != nil {
			return refusal
		}
		content.MediaGroupID = m.MediaGroupID
		m.Text, m.Entities, m.Content = "", nil, content
		return nil
	})
}

// kind is the file's kind, "" where there is none.
func (c *Content) kind() string {
	switch {
	case c.Photo != nil:
		return "photo"
	case c.Video != nil:
		return "video"
	case c.Animation != nil:
		return "animation"
	case c.Audio != nil:
		return "audio"
	case c.Document != nil:
		return "document"
	}
	return ""
}

// sameContent tells whether an edit would show what stands there.
func sameContent(a, b *Message) bool {
	same := func(x, y []Entity) bool { return slices.EqualFunc(x, y, sameEntity) }
	if a.Text != b.Text || !same(a.Entities, b.Entities) || !same(a.CaptionEntities, b.CaptionEntities) || !bytes.Equal(a.ReplyMarkup, b.ReplyMarkup) {
		return false
	}
	x, y := a.Content, b.Content
	x.CaptionEntities, y.CaptionEntities = nil, nil // compared above
	return bytes.Equal(mustJSON(x), mustJSON(y))
}

// sendMediaGroup sends an album (Client.cpp: get_input_message_contents; TDLib: send_message_group).
func sendMediaGroup(s *Server, c *call) (any, *RefusalError) {
	raw := c.params["media"]
	switch {
	case raw == "":
		return nil, badRequest(`parameter "media" is required`)
	case !gjson.Valid(raw):
		return nil, badRequest("can't parse media JSON object")
	case !gjson.Parse(raw).IsArray():
		return nil, badRequest("expected an Array of InputMedia")
	}
	var list []*medium
	for _, item := range gjson.Parse(raw).Array() {
		d, refusal := s.inputMedium(c, item)
		if refusal != nil {
			return nil, refusal
		}
		list = append(list, d)
	}
	switch {
	case len(list) == 0:
		return nil, badRequest("there are no messages to send")
	case len(list) == 1:
		return nil, badRequest("message album must contain 2-10 messages")
	case len(list) > 10:
		return nil, badRequest("too many messages to send as an album")
	}
	for _, d := range list {
		if albums[d.kind] == "" || albums[d.kind] != albums[list[0].kind] {
			return nil, badRequest("%s can't be mixed with other media types", fileType(d.kind))
		}
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	w.nextAlbum++
	var sent []*Message
	for _, d := range list {
		m, refusal := s.newMessage(c, r)
		if refusal != nil {
			return nil, refusal
		}
		if m.Content, refusal = s.mediumContent(c, d); refusal != nil {
			return nil, refusal
		}
		m.MediaGroupID = strconv.FormatInt(albumBase+w.nextAlbum, 10)
		sent = append(sent, m)
	}
	for _, m := range sent { // all or none
		s.post(c, r, m)
	}
	return sent, nil
}

// richOf is rich_message of editMessageText, where it is given instead of a text.
func richOf(p Params) (json.RawMessage, *RefusalError) {
	if p["rich_message"] == "" {
		return nil, nil
	}
	if p["text"] != "" {
		return nil, badRequest("text and rich_message can't be used together")
	}
	return inputRich(p)
}
