package talk

import (
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	token  = "424242:a-simulated-token"
	person = 77
)

// newTeller is a room that has nothing but a simulated Telegram, and a turn in it.
func newTeller(t *testing.T) (*Room, *turn) {
	t.Helper()
	telegram, err := telegramsim.Start(telegramsim.Options{Token: token, Username: "KikuBot", Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = telegram.Close() })
	telegram.User(person, "Ada")
	if _, err := telegram.StartBot(person, ""); err != nil { // a bot may not write first
		t.Fatal(err)
	}
	web := bot.NewHTTPClient()
	t.Cleanup(web.CloseIdleConnections)
	api, err := bot.NewClient(token, telegram.URL(), web)
	if err != nil {
		t.Fatal(err)
	}
	book, err := texts.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := New(hall.New(hall.Options{
		Texts: book, Sender: bot.NewSender(bot.SenderOptions{Client: api, Log: testenv.Logger(t), Registerer: prometheus.NewRegistry()}),
	}), Options{}, nil)
	return r, r.newTurn(hall.Request{Update: 7, Chat: models.Chat{ID: person, Type: models.ChatTypePrivate}, Voice: book.Voice(texts.English)})
}

func TestLongAnswerAsAFileAtOnce(t *testing.T) {
	t.Parallel()
	r, asked := newTeller(t)
	asked.Settings.LongAsFile = true
	text := strings.Repeat("A **bold** paragraph of an answer.\n\n", 600)
	m := r.final(asked, outcome{Text: text, Cost: 1000})
	if m.Document == nil || m.Document.Name != answerFile || m.Keyboard != nil || format.Units(m.Text) > 1000 {
		t.Fatalf("%+v", m)
	}
	if !strings.HasPrefix(m.Text, "A bold paragraph") || !strings.Contains(m.Text, "…\n\nThe whole answer is in the file.") || len(m.Entities) == 0 {
		t.Errorf("%q %v", m.Text, m.Entities)
	}
	if _, err := r.Sender.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if short := r.final(asked, outcome{Text: "short"}); short.Document != nil || short.Keyboard != nil {
		t.Errorf("%+v", short)
	}
}

// Rich messages are for who chose them, in private chats, and where one is enough.
func TestAnswerAsARichMessage(t *testing.T) {
	t.Parallel()
	r, asked := newTeller(t)
	asked.Settings.Rich, asked.Settings.HideCost = true, true
	if m := r.final(asked, outcome{Text: "| a |\n|---|\n| 1 |"}); m.Rich != "<table><tr><th>a</th></tr><tr><td>1</td></tr></table>" || m.Text == "" {
		t.Errorf("%+v", m)
	} else if _, err := r.Sender.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if m := r.final(asked, outcome{Text: strings.Repeat("too much ", 8000)}); m.Rich != "" || m.Keyboard == nil {
		t.Errorf("rich: %.80s", m.Rich)
	}
	asked.Chat = models.Chat{ID: -7, Type: models.ChatTypeSupergroup}
	if m := r.final(asked, outcome{Text: "**a**"}); m.Rich != "" {
		t.Errorf("rich in a group: %s", m.Rich)
	}
}
