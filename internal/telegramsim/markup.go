package telegramsim

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// markup is a parsed reply_markup: an inline keyboard goes with the message, the others with the chat.
type markup struct {
	inline   json.RawMessage
	keyboard json.RawMessage // a reply keyboard, or "null" to remove it
	buttons  []gjson.Result
}

// inputMarkup decodes reply_markup (Client.cpp: get_reply_markup, get_inline_keyboard_button_type).
func inputMarkup(raw string) (markup, *RefusalError) {
	if raw == "" {
		return markup{}, nil
	}
	if !gjson.Valid(raw) {
		return markup{}, badRequest("can't parse reply keyboard markup JSON object")
	}
	root := gjson.Parse(raw)
	if !root.IsObject() {
		return markup{}, badRequest("object expected as reply markup")
	}
	var m markup
	if rows := root.Get("inline_keyboard"); rows.Exists() {
		refusal := m.addRows(rows, `field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays`, inlineButton)
		if len(m.buttons) > 0 {
			m.inline = compactJSON(raw)
		}
		return m, refusal
	}
	if rows := root.Get("keyboard"); rows.Exists() {
		m.keyboard = compactJSON(raw)
		refusal := m.addRows(rows, `field "keyboard" must be an Array of Arrays`, keyboardButton)
		m.buttons = nil
		return m, refusal
	}
	if root.Get("remove_keyboard").Bool() {
		m.keyboard = json.RawMessage("null")
	}
	if root.Get("force_reply").Bool() {
		m.keyboard = compactJSON(raw)
	}
	return m, nil
}

func compactJSON(raw string) json.RawMessage { return mustJSON(json.RawMessage(raw)) }

func (m *markup) addRows(rows gjson.Result, shape string, check func(gjson.Result) *RefusalError) *RefusalError {
	if !rows.IsArray() {
		return badRequest("%s", shape)
	}
	for _, row := range rows.Array() {
		if !row.IsArray() {
			return badRequest("%s", shape)
		}
		for _, button := range row.Array() {
			if refusal := check(button); refusal != nil {
				return refusal
			}
			m.buttons = append(m.buttons, button)
		}
	}
	return nil
}

func keyboardButton(b gjson.Result) *RefusalError {
	switch {
	case b.Type == gjson.String:
		return nil
	case !b.IsObject():
		return badRequest("can't parse keyboard button: KeyboardButton must be a String or an Object")
	case b.Get("text").Type != gjson.String:
		return badRequest(`can't parse keyboard button: Can't find field "text"`)
	}
	return nil
}

// buttonKinds are the fields that make an inline button, in the order the server looks for them.
var buttonKinds = []string{
	"url", "callback_data", "callback_game", "pay", "switch_inline_query", "switch_inline_query_chosen_chat",
	"switch_inline_query_current_chat", "login_url", "web_app", "copy_text",
}

func inlineButton(b gjson.Result) *RefusalError {
	if !b.IsObject() {
		return badRequest("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
	}
	if b.Get("text").Type != gjson.String {
		return badRequest(`can't parse inline keyboard button: Can't find field "text"`)
	}
	switch kind := buttonKind(b); {
	case kind == "":
		return badRequest("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
	case kind == "web_app" && b.Get("web_app.url").Type != gjson.String:
		return badRequest(`can't parse inline keyboard button: Can't find field "url"`)
	case kind == "copy_text" && b.Get("copy_text.text").Type != gjson.String:
		return badRequest(`can't parse inline keyboard button: Can't find field "text"`)
	}
	return nil
}

func buttonKind(b gjson.Result) string {
	for _, kind := range buttonKinds {
		v := b.Get(kind)
		if (kind == "url" || kind == "callback_data") && v.String() == "" {
			continue
		}
		if v.Exists() {
			return kind
		}
	}
	return ""
}

// checkInvoice is check for the keys below an invoice: the first must be the one to pay, no other may be
// (Bot API: sendInvoice; the error is messages.sendMedia's).
func (m *markup) checkInvoice(r *room) *RefusalError {
	if len(m.buttons) == 0 {
		return nil
	}
	if buttonKind(m.buttons[0]) != "pay" {
		return badRequest("REPLY_MARKUP_BUY_EMPTY")
	}
	if strings.TrimSpace(m.buttons[0].Get("text").String()) == "" {
		return badRequest("inline keyboard button text must be non-empty")
	}
	rest := markup{buttons: m.buttons[1:]}
	return rest.check(r)
}

// check is what Telegram says about the buttons once the chat is known.
func (m *markup) check(r *room) *RefusalError {
	if len(m.buttons) > maxButtons {
		return badRequest("reply markup is too long")
	}
	for _, b := range m.buttons {
		if strings.TrimSpace(b.Get("text").String()) == "" {
			return badRequest("inline keyboard button text must be non-empty")
		}
		switch buttonKind(b) {
		case "callback_data":
			if len(b.Get("callback_data").String()) > maxCallbackData {
				return badRequest("BUTTON_DATA_INVALID")
			}
		case "copy_text":
			if n := utf16Len(b.Get("copy_text.text").String()); n < 1 || n > maxCopyText {
				return badRequest("BUTTON_COPY_TEXT_INVALID")
			}
		case "url":
			if link := b.Get("url").String(); !validLink(link) && !loopbackLink(link) {
				return badRequest("inline keyboard button URL '%s' is invalid: Wrong HTTP URL", link)
			}
		case "web_app":
			if link := b.Get("web_app.url").String(); !strings.HasPrefix(link, "https://") && !loopbackLink(link) {
				return badRequest("inline keyboard button Web App URL '%s' is invalid: Only HTTPS links are allowed", link)
			}
			if !r.private() {
				return badRequest("BUTTON_TYPE_INVALID")
			}
		case "pay":
			return badRequest("BUTTON_TYPE_INVALID") // only the first below an invoice
		}
	}
	return nil
}
