package telegramsim

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// utf16Len counts a text as Telegram does: characters beyond the basic plane count two.
func utf16Len(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

// entity types a bot may send, and those that Telegram finds by itself and ignores in requests
// (Client.cpp: get_text_entity_type).
var (
	sendable = map[string]bool{
		"bold": true, "italic": true, "underline": true, "strikethrough": true, "spoiler": true, "code": true, "pre": true,
		"text_link": true, "text_mention": true, "custom_emoji": true, "blockquote": true, "expandable_blockquote": true,
		"date_time": true,
	}
	detected = map[string]bool{
		"mention": true, "hashtag": true, "cashtag": true, "bot_command": true, "url": true, "email": true,
		"phone_number": true, "bank_card_number": true,
	}
)

// inputText reads text, parse_mode and entities of a request. It is the server's first look: markup is parsed
// before the chat is looked up, entities are only decoded (Client.cpp: get_formatted_text).
func inputText(p Params, textField, entitiesField string) (string, []Entity, *RefusalError) {
	text := p[textField]
	if len(text) > maxTextBytes {
		return "", nil, badRequest("text is too long")
	}
	if !utf8.ValidString(text) {
		return "", nil, badRequest("strings must be encoded in UTF-8")
	}
	mode := strings.ToLower(p["parse_mode"])
	if text != "" && mode != "" && mode != "none" {
		parse, ok := map[string]func(string) (string, []Entity, error){
			"html": parseHTML, "markdownv2": parseMarkdownV2, "markdown": parseMarkdown,
		}[mode]
		if !ok {
			return "", nil, badRequest("unsupported parse_mode")
		}
		parsed, entities, err := parse(text)
		if err != nil {
			return "", nil, badRequest("can't parse entities: %v", err)
		}
		return parsed, entities, nil
	}
	entities, refusal := inputEntities(p[entitiesField])
	return text, entities, refusal
}

// inputEntities decodes the entities parameter. What is not a JSON array is ignored, as the server does.
func inputEntities(raw string) ([]Entity, *RefusalError) {
	var list []map[string]json.RawMessage
	var items []json.RawMessage
	if !gjson.Valid(raw) || !gjson.Parse(raw).IsArray() {
		return nil, nil
	}
	if json.Unmarshal([]byte(raw), &items) != nil || json.Unmarshal([]byte(raw), &list) != nil {
		return nil, badRequest("can't parse MessageEntity: expected an Object")
	}
	var entities []Entity
	for i, fields := range list {
		for _, name := range []string{"offset", "length", "type"} {
			if _, ok := fields[name]; !ok {
				return nil, badRequest(`can't parse MessageEntity: can't find field "%s"`, name)
			}
		}
		var e Entity
		if err := json.Unmarshal(items[i], &e); err != nil {
			return nil, badRequest("can't parse MessageEntity: a field has a wrong type")
		}
		switch {
		case e.Type == "":
			return nil, badRequest("can't parse MessageEntity: type is not specified")
		case detected[e.Type]:
			continue
		case !sendable[e.Type]:
			return nil, badRequest("can't parse MessageEntity: unsupported type specified")
		case e.Type == "text_link" && fields["url"] == nil:
			return nil, badRequest(`can't parse MessageEntity: can't find field "url"`)
		case e.Type == "text_mention" && e.User == nil:
			return nil, badRequest(`can't parse MessageEntity: can't find field "user"`)
		case e.Type == "custom_emoji" && e.CustomEmojiID == "":
			return nil, badRequest(`can't parse MessageEntity: can't find field "custom_emoji_id"`)
		}
		entities = append(entities, e)
	}
	return entities, nil
}

// CheckText is what Telegram makes of a text and its entities that a bot sends, before it looks for links and
// mentions of its own: trimmed and cleaned, entities that exclude each other gone. The error is its refusal.
func CheckText(text string, entities []Entity) (string, []Entity, error) {
	text, entities, refusal := clean(text, entities)
	if refusal != nil {
		return "", nil, refusal
	}
	if text == "" {
		return "", nil, badRequest("message text is empty")
	}
	if utf16Len(text) > maxText {
		return "", nil, badRequest("message is too long")
	}
	return text, entities, nil
}

// formatted is the server's second look (TDLib: fix_formatted_text): offsets must lie inside the text and on
// character boundaries; carriage returns vanish, other control characters become spaces, the ends are
// trimmed and entities move with the text; commands, mentions, hashtags and links are found.
// The text may come back empty: callers decide whether that is allowed.
func formatted(text string, entities []Entity) (string, []Entity, *RefusalError) {
	text, entities, refusal := clean(text, entities)
	if refusal != nil || text == "" {
		return "", nil, refusal
	}
	entities = append(entities, detectEntities(text, entities)...)
	sortEntities(entities)
	return text, entities, nil
}

// clean is formatted without what Telegram finds by itself.
func clean(text string, entities []Entity) (string, []Entity, *RefusalError) {
	if !utf8.ValidString(text) {
		return "", nil, badRequest("text must be encoded in UTF-8")
	}
	for _, e := range entities {
		if e.Offset < 0 || e.Offset > 1_000_000 {
			return "", nil, badRequest("receive an entity with incorrect offset %d", e.Offset)
		}
		if e.Length < 0 || e.Length > 1_000_000 {
			return "", nil, badRequest("receive an entity with incorrect length %d", e.Length)
		}
	}
	kept, places := cleanText(text)
	placed, refusal := placeEntities(entities, places)
	if refusal != nil {
		return "", nil, refusal
	}
	if blank(kept) {
		return "", nil, nil
	}
	placed = nested(placed)
	if len(placed) > maxEntities {
		placed = placed[:maxEntities]
	}
	kept, placed = trimText(kept, placed)
	return kept, placed, nil
}

// place says where a UTF-16 offset of the input went.
type place struct {
	unit int // in the cleaned text; -1 inside a surrogate pair
	byte int // in the input, for the error
}

func cleanText(text string) (string, []place) {
	var b strings.Builder
	places := make([]place, 0, len(text)+1)
	unit := 0
	for i, r := range text {
		places = append(places, place{unit: unit, byte: i})
		switch {
		case removed(r):
			continue
		case r < 32 && r != '\n':
			r = ' '
		}
		b.WriteRune(r)
		unit++
		if r >= 0x10000 {
			places = append(places, place{unit: -1, byte: i + utf8.RuneLen(r)})
			unit++
		}
	}
	return b.String(), append(places, place{unit: unit, byte: len(text)})
}

// removed characters vanish from texts (TDLib: clean_input_string_with_entities): carriage returns, separators
// of lines, embedded directions, and marks that draw over their neighbours.
func removed(r rune) bool {
	return r == '\r' || r >= 0x2028 && r <= 0x202E || r == 0x0333 || r == 0x033F || r == 0x030A
}

func placeEntities(entities []Entity, places []place) ([]Entity, *RefusalError) {
	sorted := slices.Clone(entities)
	sortEntities(sorted)
	var kept []Entity
	last := len(places) - 1
	for _, e := range sorted {
		if e.Length == 0 {
			continue
		}
		end := e.Offset + e.Length
		switch {
		case e.Offset > last:
			return nil, badRequest("entity begins after the end of the text at UTF-16 offset %d", e.Offset)
		case end > last:
			return nil, badRequest("entity beginning at UTF-16 offset %d ends after the end of the text at UTF-16 offset %d", e.Offset, end)
		case places[e.Offset].unit < 0:
			return nil, badRequest("entity begins in a middle of a UTF-16 symbol at byte offset %d", places[e.Offset].byte)
		case places[end].unit < 0:
			return nil, badRequest("entity beginning at UTF-16 offset %d ends in a middle of a UTF-16 symbol at byte offset %d", e.Offset, places[end].byte)
		case e.Type == "text_link" && !validLink(e.URL):
			return nil, badRequest("entity URL '%s' is invalid: Wrong HTTP URL", e.URL)
		}
		e.Offset, e.Length = places[e.Offset].unit, places[end].unit-places[e.Offset].unit
		if e.Length > 0 {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

const trimmed = " \n"

// trimText drops white space at the ends; at the beginning, none that an entity covers.
func trimText(text string, entities []Entity) (string, []Entity) {
	left := len(text) - len(strings.TrimLeft(text, trimmed)) // all of them one unit each
	if len(entities) > 0 {
		left = min(left, entities[0].Offset)
	}
	text = strings.TrimRight(text, trimmed)[left:]
	size := utf16Len(text)
	var kept []Entity
	for _, e := range entities {
		begin, end := max(e.Offset-left, 0), min(e.Offset+e.Length-left, size)
		if begin < end {
			e.Offset, e.Length = begin, end-begin
			kept = append(kept, e)
		}
	}
	return text, kept
}

// blank tells whether a text shows nothing: Telegram calls it empty.
func blank(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && r != 0x2800 && r != 0x3164
	}) < 0
}

// sortEntities orders by beginning, the longer first; over the same characters by type (TDLib: get_type_priority).
func sortEntities(entities []Entity) {
	slices.SortStableFunc(entities, func(a, b Entity) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Length, a.Length), cmp.Compare(priority(a.Type), priority(b.Type)))
	})
}

var priorities = map[string]int{
	"blockquote": 0, "expandable_blockquote": 0, "pre": 10, "code": 20, "date_time": 30, "text_link": 49, "text_mention": 49,
	"bold": 90, "italic": 91, "underline": 92, "strikethrough": 93, "spoiler": 94, "custom_emoji": 99,
}

func priority(kind string) int {
	const found = 50 // what Telegram finds by itself
	if p, known := priorities[kind]; known {
		return p
	}
	return found
}
