package spec

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// limit is how long a parameter's text may be.
type limit struct {
	method, name string // method "": of every method that has the parameter
	least, most  int
	bytes        bool // counted in bytes; else in UTF-16 units, as Telegram counts text
}

// limits are what the documentation says of single parameters.
var limits = []limit{
	{"answerCallbackQuery", "text", 0, 200, false},
	{"sendMessage", "text", 1, 4096, false},
	{"editMessageText", "text", 1, 4096, false},
	{"sendMessageDraft", "text", 0, 4096, false},
	{"", "caption", 0, 1024, false},
	{"", "title", 1, 32, false},
	{"", "payload", 1, 128, true},
	{"", "start_parameter", 0, 64, true},
	{"", "error_message", 0, 255, false},
	{"sendInvoice", "description", 1, 255, false},
	{"createInvoiceLink", "description", 1, 255, false},
	{"setWebhook", "secret_token", 1, 256, true},
	{"setMyCommands", "language_code", 0, 2, true},
	{"answerInlineQuery", "next_offset", 0, 64, true},
}

// Most of what the documentation counts.
const (
	mostButtons      = 100
	mostCallbackData = 64 // bytes
	mostCopyText     = 256
	mostPlaceholder  = 64
	mostEntities     = 100
	mostCommands     = 100
	mostCommand      = 32
	mostDescription  = 256
	mostID           = 1 << 52
)

func units(text string) int { return len(utf16.Encode([]rune(text))) }

// checkLimits adds to e what is too long, too many or out of place in a call.
func checkLimits(method string, params map[string]string, e *CallError) {
	wrong := func(format string, args ...any) { e.Wrong = append(e.Wrong, fmt.Sprintf(format, args...)) }
	for _, l := range limits {
		text, given := params[l.name]
		if !given || l.method != "" && l.method != method {
			continue
		}
		n := units(text)
		if l.bytes {
			n = len(text)
		}
		// With a parse mode the markup does not count, and what is left is the server's to say.
		if n < l.least || n > l.most && params["parse_mode"] == "" {
			wrong("%s: %d long, not %d to %d", l.name, n, l.least, l.most)
		}
	}
	checkEntities(params, "text", "entities", wrong)
	checkEntities(params, "caption", "caption_entities", wrong)
	checkMarkup(params["reply_markup"], wrong)
	if method == "setMyCommands" {
		checkCommands(params["commands"], wrong)
	}
	if id := params["draft_id"]; id == "0" {
		wrong("draft_id: zero")
	}
	var chat int64
	if json.Unmarshal([]byte(params["chat_id"]), &chat) == nil && (chat == 0 || chat >= mostID || chat <= -mostID) {
		wrong("chat_id: no id of a chat")
	}
}

// checkEntities holds entities to the text that they are of.
func checkEntities(params map[string]string, of, name string, wrong func(string, ...any)) {
	if params[name] == "" {
		return
	}
	var list []struct {
		Type           string
		Offset, Length int
		URL, Language  string
	}
	if json.Unmarshal([]byte(params[name]), &list) != nil {
		return // its type was found wrong already
	}
	if params["parse_mode"] != "" {
		wrong("%s: beside a parse mode", name)
	}
	if len(list) > mostEntities {
		wrong("%s: %d of them, at most %d", name, len(list), mostEntities)
	}
	length := units(params[of])
	for i, one := range list {
		switch {
		case one.Offset < 0 || one.Length <= 0 || one.Offset+one.Length > length:
			wrong("%s.%d: %d units from %d, of %d", name, i, one.Length, one.Offset, length)
		case one.Type == "text_link" && one.URL == "":
			wrong("%s.%d: a link without an address", name, i)
		case one.Language != "" && one.Type != "pre":
			wrong("%s.%d: a language outside of code", name, i)
		}
	}
}

// checkMarkup holds a keyboard to its bounds.
func checkMarkup(raw string, wrong func(string, ...any)) {
	if raw == "" {
		return
	}
	var keyboard struct {
		Rows [][]struct {
			Text         string
			CallbackData *string                `json:"callback_data"`
			CopyText     *struct{ Text string } `json:"copy_text"`
			WebApp       *struct{ URL string }  `json:"web_app"`
		} `json:"inline_keyboard"`
		Placeholder string `json:"input_field_placeholder"`
	}
	if json.Unmarshal([]byte(raw), &keyboard) != nil {
		return // its type was found wrong already
	}
	if n := units(keyboard.Placeholder); n > mostPlaceholder {
		wrong("reply_markup: a placeholder of %d, at most %d", n, mostPlaceholder)
	}
	buttons := 0
	for _, row := range keyboard.Rows {
		for _, b := range row {
			buttons++
			if strings.TrimSpace(b.Text) == "" {
				wrong("reply_markup: button %d without words", buttons)
			}
			if b.CallbackData != nil && (*b.CallbackData == "" || len(*b.CallbackData) > mostCallbackData) {
				wrong("reply_markup: button %d with %d bytes of data, not 1 to %d", buttons, len(*b.CallbackData), mostCallbackData)
			}
			if b.CopyText != nil && (b.CopyText.Text == "" || units(b.CopyText.Text) > mostCopyText) {
				wrong("reply_markup: button %d copies %d units, not 1 to %d", buttons, units(b.CopyText.Text), mostCopyText)
			}
		}
	}
	if buttons > mostButtons {
		wrong("reply_markup: %d buttons, at most %d", buttons, mostButtons)
	}
}

func checkCommands(raw string, wrong func(string, ...any)) {
	var list []struct{ Command, Description string }
	if json.Unmarshal([]byte(raw), &list) != nil {
		return // its type was found wrong already
	}
	if len(list) > mostCommands {
		wrong("commands: %d of them, at most %d", len(list), mostCommands)
	}
	for _, c := range list {
		if c.Command == "" || len(c.Command) > mostCommand || strings.Trim(c.Command, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			wrong("commands: %q is none", c.Command)
		}
		if n := units(c.Description); n == 0 || n > mostDescription {
			wrong("commands: %s described in %d, not 1 to %d", c.Command, n, mostDescription)
		}
	}
}

// checkObject adds to e what is wrong with a parameter that is an object or a list of
// such, where a type it may have is documented here.
func (a *api) checkObject(f field, text string, e *CallError) {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return // a string, or found wrong already
	}
	var least []string
	for i, kind := range f.types {
		element := strings.TrimRight(kind, "[]")
		if !a.defines(element) {
			return // not known in full: anything goes
		}
		faults := &ObjectError{Kind: kind}
		a.compare(f.name, kind, v, faults)
		if faults.Faults == nil {
			return
		}
		if i == 0 || len(faults.Faults) < len(least) {
			least = faults.Faults
		}
	}
	e.Wrong = append(e.Wrong, least...)
}
