package people

import (
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// TestPagesFitTelegram: pages in every language stay within what Telegram takes.
func TestPagesFitTelegram(t *testing.T) {
	t.Parallel()
	r := New(hall.New(hall.Options{Texts: book(t), Model: "a-model"}), Options{}, nil)
	for _, code := range texts.Languages() {
		q := hall.Request{Voice: book(t).Voice(code), Settings: billing.Settings{Persona: strings.Repeat("ж", billing.MaxPersona), Zone: "America/Argentina/ComodRivadavia"}}
		for _, page := range []string{"", "language", "zone", "forget"} {
			for _, row := range r.settingsPage(q, page).Keyboard.InlineKeyboard {
				for _, b := range row {
					if b.Text == "" || len(b.CallbackData) > 64 || hall.UTF16Len(b.Text) > 80 || strings.Contains(b.Text, "settings.") {
						t.Errorf("%s %q: %q (%q)", code, page, b.Text, b.CallbackData)
					}
				}
			}
		}
		for _, topic := range append(helpTopics(), helpTopic{}) {
			m := r.helpPage(t.Context(), q, topic.name)
			if hall.UTF16Len(m.Text) > 4096 || strings.Contains(m.Text, "help.") {
				t.Errorf("%s: help on %q: %q", code, topic.name, m.Text)
			}
		}
	}
}

func TestExpiredKey(t *testing.T) {
	t.Parallel()
	end := time.Now()
	expired := billing.Key{Restrictions: billing.Restrictions{ExpiresAt: end}}
	if got := keyBounds(english(t), expired, end); got != "\n   expired "+end.UTC().Format("2 Jan 2006 15:04 UTC") {
		t.Errorf("an expired key is %q", got)
	}
}
