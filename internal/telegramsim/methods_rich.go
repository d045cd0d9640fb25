package telegramsim

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Limits of rich messages (Bot API: "Rich message formatting options", limits).
const (
	maxRichText    = 32_768 // characters
	maxRichBlocks  = 500    // nested ones, list items and table rows too
	maxRichDepth   = 16
	maxRichColumns = 20
)

// inputRich reads rich_message. Exactly one of html, markdown and blocks says what it is. What blocks the
// servers would make of HTML or Markdown is their own affair: here a paragraph of the source stands for them.
func inputRich(p Params) (json.RawMessage, *RefusalError) {
	raw := p["rich_message"]
	if raw == "" {
		return nil, badRequest("rich message is empty")
	}
	if !gjson.Valid(raw) || !gjson.Parse(raw).IsObject() {
		return nil, badRequest("can't parse rich message JSON object")
	}
	rich := gjson.Parse(raw)
	var given []string
	for _, name := range []string{"html", "markdown", "blocks"} {
		if v := rich.Get(name); v.Exists() && (v.IsArray() || v.String() != "") {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		return nil, badRequest("exactly one of the fields html, markdown and blocks of the rich message must be used")
	}
	blocks := rich.Get("blocks")
	if given[0] != "blocks" {
		source := rich.Get(given[0]).String()
		if strings.TrimSpace(source) == "" {
			return nil, badRequest("rich message is empty")
		}
		blocks = gjson.ParseBytes(mustJSON([]map[string]string{{"type": "paragraph", "text": source}}))
	}
	var size richSize
	size.measure(blocks, 1)
	switch {
	case size.blocks == 0:
		return nil, badRequest("rich message is empty")
	case size.text > maxRichText:
		return nil, badRequest("message is too long")
	case size.blocks > maxRichBlocks, size.depth > maxRichDepth, size.columns > maxRichColumns:
		return nil, badRequest("rich message is too complex")
	}
	shown := map[string]any{"blocks": json.RawMessage(blocks.Raw)}
	if rich.Get("is_rtl").Bool() {
		shown["is_rtl"] = true
	}
	return mustJSON(shown), nil
}

// richSize is what the limits are about.
type richSize struct{ text, blocks, depth, columns int }

// measure walks through blocks, the texts in them and what is nested.
func (z *richSize) measure(v gjson.Result, depth int) {
	z.depth = max(z.depth, depth)
	if depth > 4*maxRichDepth { // far beyond, and safe from a body that nests without end
		return
	}
	v.ForEach(func(key, part gjson.Result) bool {
		switch {
		case part.Type == gjson.String && (key.String() == "text" || key.String() == "expression" || key.Type != gjson.String):
			z.text += utf8.RuneCountInString(part.String())
		case key.String() == "cells":
			for _, row := range part.Array() {
				z.blocks++
				z.columns = max(z.columns, len(row.Array()))
				z.measure(row, depth+1)
			}
		case part.IsArray():
			z.measure(part, depth)
		case part.IsObject():
			if key.Type != gjson.String && part.Get("type").Exists() || part.Get("label").Exists() {
				z.blocks++
			}
			z.measure(part, depth+1)
		}
		return true
	})
}

func sendRichMessage(s *Server, c *call) (any, *RefusalError) {
	rich, refusal := inputRich(c.params)
	if refusal != nil {
		return nil, refusal
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	o, refusal := s.open(c, func(r *room, buttons *markup) *RefusalError { return buttons.check(r) })
	if refusal != nil {
		return nil, refusal
	}
	o.message.Rich = rich
	return s.sendOpened(c, o), nil
}

// sendRichMessageDraft shows the preview of a rich message; the page shows its source.
func sendRichMessageDraft(s *Server, c *call) (any, *RefusalError) {
	rich, refusal := inputRich(c.params)
	if refusal != nil {
		return nil, refusal
	}
	return s.draft(c, func(d *Draft) *RefusalError {
		d.Rich = rich
		return nil
	})
}
