package handlers

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// chosen are what the person's settings are by now.
func (r *rig) chosen() billing.Settings {
	r.t.Helper()
	s, err := r.desk.Settings.ReadByTelegram(r.t.Context(), person)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// buttonsShown are the data and words of the buttons under the bot's last message that has some.
func (r *rig) buttonsShown() map[string]string {
	r.t.Helper()
	messages := r.telegram.Messages(person)
	for i := len(messages) - 1; i >= 0; i-- {
		if m := messages[i]; m.FromBot() && len(m.ReplyMarkup) > 0 {
			return buttonsOf(r.t, m)
		}
	}
	return nil
}

func buttonsOf(t *testing.T, m *telegramsim.Message) map[string]string {
	t.Helper()
	var keyboard models.InlineKeyboardMarkup
	if err := json.Unmarshal(m.ReplyMarkup, &keyboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, row := range keyboard.InlineKeyboard {
		for _, b := range row {
			shown[b.CallbackData] = b.Text
		}
	}
	return shown
}

// TestSettings walks every setting: each choice that a page offers is taken, is marked
// afterwards, and holds; twice is as once.
func TestSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keeping()
	r.say("/settings")
	r.heard(`^Your settings`)
	for data, want := range map[string]string{
		"set:language": "Language: As in Telegram", "set:zone": "Time zone: UTC", "set:cost=off": "Cost under answers: on",
		"set:long=on": "Long answers: several messages", "set:forget": "I remember a conversation for: 7 days",
		"set:low=off": "Warn me of a low balance: on", "set:news=off": "News from us: on", "set:model": "Model: a-model", "set:persona": "How to answer: none",
	} {
		if got := r.buttonsShown()[data]; got != want {
			t.Errorf("the button of %s says %q, want %q", data, got, want)
		}
	}
	for _, c := range []struct {
		page, data string
		want       billing.Settings
	}{
		{"", "set:cost=off", billing.Settings{HideCost: true}},
		{"", "set:cost=on", billing.Settings{}},
		{"", "set:low=off", billing.Settings{MuteLow: true}},
		{"", "set:low=on", billing.Settings{}},
		{"", "set:news=off", billing.Settings{MuteNews: true}},
		{"", "set:news=on", billing.Settings{}},
		{"", "set:long=on", billing.Settings{LongAsFile: true}},
		{"", "set:long=off", billing.Settings{}},
		{"", "set:rich=on", billing.Settings{Rich: true}},
		{"", "set:rich=off", billing.Settings{}},
		{"set:forget", "set:forget=3600", billing.Settings{ForgetAfter: time.Hour}},
		{"set:forget", "set:forget=2592000", billing.Settings{ForgetAfter: 30 * 24 * time.Hour}},
		{"set:forget", "set:forget=0", billing.Settings{}},
		{"set:zone", "set:zone=Asia/Tokyo", billing.Settings{Zone: "Asia/Tokyo"}},
		{"set:zone", "set:zone=", billing.Settings{}},
		{"set:language", "set:language=ar", billing.Settings{Language: "ar"}},
		{"set:language", "set:language=", billing.Settings{}},
	} {
		if c.page != "" {
			r.pressLast(c.page)
		}
		if _, offered := r.buttonsShown()[c.data]; !offered {
			t.Fatalf("%s is not offered: %v", c.data, r.buttonsShown())
		}
		for range 2 {
			r.pressLast(c.data)
			if got := r.chosen(); !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%s: %+v, want %+v", c.data, got, c.want)
			}
		}
		if c.page != "" {
			r.pressLast(c.page)
			if got := r.buttonsShown()[c.data]; !strings.HasPrefix(got, "✓ ") {
				t.Errorf("%s is not marked: %q", c.data, got)
			}
			r.pressLast("set:")
		}
	}
}

// TestSettingsSpeak: the page is in the language that was chosen on it, and what other
// commands show follows the zone.
func TestSettingsSpeak(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/settings")
	r.pressLast("set:language")
	r.pressLast("set:language=ru")
	if got := r.buttonsShown()["set:language"]; got != "Язык: Русский" {
		t.Errorf("after Russian was chosen: %q", got)
	}
	r.say("/settings Africa/Nairobi")
	r.heard(`Nairobi \+03:00`)
	r.say("/settings Atlantis")
	r.heard(`Такого часового пояса`)
	if got := r.chosen(); got.Zone != "Africa/Nairobi" {
		t.Errorf("the zone is %q", got.Zone)
	}
	r.say("/settings")
	if got := r.buttonsShown()["set:zone"]; got != "Часовой пояс: Nairobi +03:00" {
		t.Errorf("a zone without a button of its own: %q", got)
	}
	r.pressLast("set:model")
	r.heard(`модел|model`)
	r.pressLast("set:persona")
	r.heard(`/system`)
}

// TestSettingsMadeUp: buttons that nobody was given change nothing and fail nothing.
func TestSettingsMadeUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/settings")
	for _, data := range []string{"set:nothing", "set:nothing=on", "set:cost", "set:cost=maybe", "set:zone=Local", "set:zone=../etc", "set:language=xx",
		"set:forget=-1", "set:forget=99999999", "set:forget=x", "set:=", "set:==", "set:cost=on=off"} {
		r.pressLast(data)
	}
	if got := r.chosen(); !reflect.DeepEqual(got, billing.Settings{}) {
		t.Errorf("changed to %+v", got)
	}
	r.updates++
	r.handle(r.decode(r.updates, fmt.Sprintf(`{"update_id":%d,"callback_query":{"id":"old","chat_instance":"1","data":"set:cost=off",
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"message":{"message_id":1,"date":0,"chat":{"id":%d,"type":"private"}}}}`, r.updates, person, person)))
	if !r.chosen().HideCost {
		t.Error("a button of a message too old to be edited did nothing")
	}
	if got := r.buttonsShown()["set:cost=on"]; got != "Cost under answers: off" {
		t.Errorf("the page was not sent anew: %q", got)
	}
}

func TestHelpByTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/help")
	r.heard(`a-model`)
	for _, topic := range []string{"chat", "models", "money", "keys", "data"} {
		r.pressLast("help:" + topic)
		messages := r.telegram.Messages(person)
		text := messages[len(messages)-1].Text
		if !strings.HasPrefix(text, english(t).Say("help."+topic+"_title")) {
			t.Errorf("%s shows %q", topic, text)
		}
		if _, itself := r.buttonsShown()["help:"+topic]; itself {
			t.Errorf("%s leads to itself", topic)
		}
	}
	r.pressLast("help:")
	r.heard(`a-model`)
	r.say("/help money")
	r.heard(`^Money`)
	r.say("/help nonsense")
	r.heard(`a-model`)
}

// TestFeedback: what a person writes reaches every admin once, however often the update
// comes, and is said plainly where nobody reads.
func TestFeedback(t *testing.T) {
	t.Parallel()
	const first, second = 4711, 4712
	r := adminRig(t)
	r.router.Admins = []int64{first, second}
	for _, id := range r.router.Admins {
		r.telegram.User(id, "Grace")
		if _, err := r.telegram.StartBot(id, ""); err != nil {
			t.Fatal(err)
		}
	}
	r.courier()
	r.say("/feedback")
	r.heard(`^What would you like`)
	reply := `{"update_id":%[1]d,"message":{"message_id":%[1]d,"date":1790000000,"text":"It is *lovely* <b>","from":{"id":%[2]d,"is_bot":false,"first_name":"Ada"},
		"chat":{"id":%[2]d,"type":"private"},"reply_to_message":{"message_id":9,"date":1790000000,"text":"What would you like to tell us? Answer this message.",
		"from":{"id":424242,"is_bot":true,"first_name":"Kiku"},"chat":{"id":%[2]d,"type":"private"}}}}`
	for range 2 {
		r.handle(r.decode(90_000, fmt.Sprintf(reply, 90_000, person)))
	}
	r.heard(`^Thank you`)
	for _, id := range r.router.Admins {
		testenv.Until(r.t, "the admin reads it", func() bool { return len(r.sentTo(id)) > 0 })
	}
	testenv.Until(r.t, "the outbox is empty", func() bool {
		waiting, err := r.router.Outbox.Waiting(t.Context())
		return err == nil && waiting == 0
	})
	for _, id := range r.router.Admins {
		got := r.sentTo(id)
		if len(got) != 1 || got[0].Text != fmt.Sprintf("Feedback from Ada (id %d, en):\n\nIt is *lovely* <b>", person) {
			t.Errorf("%d read %d messages, the first is %q", id, len(got), got[0].Text)
		}
	}
	r.say("/feedback " + strings.Repeat("ж", 4000))
	r.heard(`^Thank you`)

	for range 20 {
		r.say("/feedback once more")
	}
	r.heard(`tomorrow`)

	r.router.Admins = nil
	r.say("/feedback hello")
	r.heard(`^Nobody reads`)
	r.router.Support = "@KikuHelp"
	r.say("/feedback hello")
	r.heard(`@KikuHelp`)
}
