package handlers

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const stranger = 78

// club is a group that updates of are served: Ada's, who has an account, with Bob in it,
// who has none.
type club struct {
	*serving
	chat telegramsim.Chat
}

func newClub(t *testing.T) *club { return newRig(t).club() }

func (r *rig) club() *club {
	t := r.t
	t.Helper()
	s := r.serve()
	s.telegram.User(stranger, "Bob")
	chat, err := s.telegram.Group("Friends", person, stranger)
	if err != nil {
		t.Fatal(err)
	}
	return &club{s, chat}
}

// write lets somebody write into the group, in answer to a message or to none.
func (c *club) write(who int64, text string, reply int64) *telegramsim.Message {
	c.t.Helper()
	m, err := c.telegram.Send(telegramsim.Saying{User: who, Chat: c.chat.ID, Text: text, Reply: reply})
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// told are the bot's messages in the group.
func (c *club) told() (messages []*telegramsim.Message) {
	for _, m := range c.telegram.Messages(c.chat.ID) {
		if m.FromBot() {
			messages = append(messages, m)
		}
	}
	return messages
}

// last is the bot's newest message in the group, which has to be the nth, once all is handled.
func (c *club) last(n int) *telegramsim.Message {
	c.t.Helper()
	testenv.Until(c.t, "it is answered", func() bool { return len(c.told()) >= n })
	c.settled()
	messages := c.told()
	if len(messages) != n {
		texts := make([]string, len(messages))
		for i, m := range messages {
			texts[i] = m.Text
		}
		c.t.Fatalf("%d messages in the group, want %d: %q", len(messages), n, texts)
	}
	return messages[n-1]
}

// open gives the stranger an account.
func (c *club) open() {
	c.t.Helper()
	if _, _, err := c.desk.Accounts.Open(c.t.Context(), billing.Profile{TelegramID: stranger}); err != nil {
		c.t.Fatal(err)
	}
}

// TestGroupAnswersWhoCallsIt: on a mention, a reply and /ask, as a reply, and nothing else;
// what somebody owns is not said.
func TestGroupAnswersWhoCallsIt(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.write(person, "just talking", 0)
	c.write(person, "/ask@OtherBot why?", 0)
	c.write(person, "mail me at a@KikuBot.example or @KikuBots", 0)
	asked := c.write(person, "@kikubot, what is red?", 0)
	first := c.last(1)
	if first.Text != "You said what is red?\n\n$0.000045" || first.ReplyToMessage == nil || first.ReplyToMessage.MessageID != asked.MessageID {
		t.Errorf("%+v", first)
	}
	c.write(person, "and blue?", first.MessageID)
	if text := c.last(2).Text; !strings.Contains(text, "and blue?") {
		t.Errorf("a reply: %q", text)
	}
	if n := len(c.calls[1].Messages); n != 3 {
		t.Errorf("%d messages of context", n)
	}
	c.write(person, "/ask@KikuBot and green?", 0)
	c.last(3)
	if c.asked() != "and green?" {
		t.Errorf("asked %q", c.asked())
	}
	c.write(person, "/ask", 0)
	if text := c.last(4).Text; !strings.Contains(text, "Write /ask and your question") {
		t.Errorf("nothing asked: %q", text)
	}
	talk := c.write(stranger, "the sky is green", 0)
	c.write(person, "is that so @KikuBot", talk.MessageID)
	c.last(5)
	if q := c.asked(); !strings.Contains(q, "the sky is green") || !strings.HasSuffix(q, "\n\nis that so") {
		t.Errorf("asked %q", q)
	}
	c.write(person, "/balance@KikuBot", 0)
	private := c.last(6)
	if !strings.Contains(private.Text, "in private") || !strings.Contains(string(private.ReplyMarkup), "https://t.me/KikuBot?start=group") {
		t.Errorf("%q %s", private.Text, private.ReplyMarkup)
	}
}

// TestGroupStranger: who has no account is told so once, gets none unasked, and is not paid
// for by anybody.
func TestGroupStranger(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.write(stranger, "@KikuBot who are you?", 0)
	m := c.last(1)
	if !strings.Contains(m.Text, "start me in private") || !strings.Contains(string(m.ReplyMarkup), "https://t.me/KikuBot?start=group") {
		t.Errorf("%q %s", m.Text, m.ReplyMarkup)
	}
	c.write(stranger, "/ask again", 0)
	c.last(1)
	if _, err := c.desk.Accounts.ByTelegram(t.Context(), stranger); !errors.Is(err, billing.ErrAccountUnknown) || len(c.calls) != 0 {
		t.Errorf("%d calls, the account: %v", len(c.calls), err)
	}
	c.open()
	c.write(stranger, "/ask once more", 0)
	c.last(2)
	account, err := c.desk.Accounts.ByTelegram(t.Context(), stranger)
	if err != nil || len(c.calls) != 1 || c.calls[0].AccountID != account.ID {
		t.Errorf("%+v is paid by %+v, %v", c.calls, account, err)
	}
}

// TestGroupRetry: the asker may, and an administrator, who pays then.
func TestGroupRetry(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.open()
	c.write(person, "/ask why?", 0)
	c.last(1)
	c.write(stranger, "/retry@KikuBot", 0)
	if text := c.last(2).Text; !strings.Contains(text, "or an administrator, can ask") || len(c.calls) != 1 {
		t.Errorf("%q, %d calls", text, len(c.calls))
	}
	if err := c.telegram.Promote(stranger, c.chat.ID, true); err != nil {
		t.Fatal(err)
	}
	c.write(stranger, "/retry@KikuBot", 0)
	c.last(3)
	if c.asked() != "why?" || c.calls[1].AccountID == c.calls[0].AccountID {
		t.Errorf("calls %+v", c.calls)
	}
}

// TestGroupStop: neither the command nor the button is anybody's but the asker's and the
// administrators'.
func TestGroupStop(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	w := newWriter()
	c.streams = w.complete
	c.write(person, "/ask tell me", 0)
	await(t, w.begun, "the question")
	w.words <- "Once"
	await(t, w.said, "the word")
	testenv.Until(c.t, "the first frame", func() bool { return len(c.told()) == 1 })
	c.write(stranger, "/stop@KikuBot", 0)
	testenv.Until(c.t, "word of whose it is", func() bool { return len(c.told()) == 2 })
	if m := c.told()[1]; !strings.Contains(m.Text, "Only who asked") || len(w.ended) > 0 {
		t.Fatalf("stopped by anybody: %q", m.Text)
	}
	if err := c.telegram.Promote(stranger, c.chat.ID, true); err != nil {
		t.Fatal(err)
	}
	c.write(stranger, "/stop@KikuBot", 0)
	if err := await(t, w.ended, "the end of the call"); !errors.Is(err, talk.ErrStopped) {
		t.Errorf("ended with %v", err)
	}
	c.settled()
	if m := c.told()[0]; !strings.HasPrefix(m.Text, "Once\n\n[stopped") {
		t.Errorf("final %q", m.Text)
	}
}

// TestGroupPoor: that somebody cannot pay is said without what they own, and with a way out.
func TestGroupPoor(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{}, &billing.PoorError{Need: 5_000_000_000, Available: 123_000_000}
	}
	c.write(person, "/ask why?", 0)
	m := c.last(1)
	if strings.Contains(m.Text, "$") || !strings.Contains(string(m.ReplyMarkup), "?start=topup") {
		t.Errorf("%q %s", m.Text, m.ReplyMarkup)
	}
}

// TestForgedMentions: entities that lie outside the text, or around something else, call
// nobody.
func TestForgedMentions(t *testing.T) {
	t.Parallel()
	r := newRig(t).router
	for _, e := range []models.MessageEntity{
		{Type: "mention", Offset: -1, Length: 8}, {Type: "mention", Offset: 3, Length: 1 << 40}, {Type: "mention", Offset: 1 << 62, Length: 1 << 62},
		{Type: "mention", Offset: 0, Length: -5}, {Type: "text_mention", Offset: 0, Length: 8}, {Type: "mention", Offset: 0, Length: 7}, {Type: "bold", Offset: 0, Length: 8},
	} {
		if r.isMentioned("@KikuBot 🙂", []models.MessageEntity{e}) {
			t.Errorf("%+v calls the bot", e)
		}
	}
	if !r.isMentioned("🙂 @KIKUBOT", []models.MessageEntity{{Type: "mention", Offset: 3, Length: 8}}) {
		t.Error("a mention behind a pair of units is not seen")
	}
}
