package bot

import (
	"context"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"
)

func keyboard(text string) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
		{Text: text, CopyText: &models.CopyTextButton{Text: "copied"}},
	}}}
}

func TestPhotoWithACaption(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	id, err := s.Send(context.Background(), Message{
		ChatID: 7, ThreadID: 3, Text: "A bold chart", Photo: &File{Name: "chart.png", Data: []byte("PNG")}, ReplyTo: 9, Silent: true,
		Entities: []models.MessageEntity{{Type: models.MessageEntityTypeBold, Offset: 2, Length: 4}}, Keyboard: keyboard("Copy"),
	})
	if err != nil || id != 1 {
		t.Fatalf("id %d, %v", id, err)
	}
	made := a.made()
	if len(made) != 1 || made[0].method != "sendPhoto" {
		t.Fatalf("calls: %+v", made)
	}
	c := made[0]
	if c.files["photo"] != "PNG" || c.params["photo"] != "attach://chart.png" || c.params["caption"] != "A bold chart" ||
		c.params["message_thread_id"] != "3" || c.params["disable_notification"] != "true" || c.params["reply_parameters"] == "" {
		t.Errorf("call: %+v", c)
	}
	if !strings.Contains(c.params["caption_entities"], `"offset":2,"length":4`) || !strings.Contains(c.params["reply_markup"], `"copy_text":{"text":"copied"}`) {
		t.Errorf("entities %s, keyboard %s", c.params["caption_entities"], c.params["reply_markup"])
	}
}

func TestDocumentWithoutWords(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	m := Message{ChatID: 7, Document: &File{Name: "отчёт.csv", Data: []byte("a,b")}}
	if _, err := s.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	made := a.made()
	if len(made) != 1 || made[0].method != "sendDocument" || made[0].files["document"] != "a,b" || made[0].params["caption"] != "" {
		t.Fatalf("calls: %+v", made)
	}
}

// What is too long for a caption comes before the file, and the keyboard under the last.
func TestLongTextBeforeAFile(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	text := strings.Repeat("word ", captionMost/5+2)
	if _, err := s.Send(context.Background(), Message{
		ChatID: 7, Text: text, Document: &File{Name: "a.md", Data: []byte("#")}, Keyboard: keyboard("Copy"), ReplyTo: 9,
	}); err != nil {
		t.Fatal(err)
	}
	made := a.made()
	if len(made) != 2 || made[0].method != "sendMessage" || made[1].method != "sendDocument" {
		t.Fatalf("calls: %+v", made)
	}
	if made[0].params["reply_parameters"] == "" || made[0].params["reply_markup"] != "" ||
		made[1].params["reply_parameters"] != "" || made[1].params["reply_markup"] == "" {
		t.Errorf("calls: %+v", made)
	}
}

// A try after a failure sends the whole file again.
func TestFileIsSentAgainWhole(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(call) reply {
		if len(a.made()) == 1 {
			return reply{status: 502, body: "<html>"}
		}
		return reply{}
	})
	if _, err := s.Send(context.Background(), Message{ChatID: 7, Photo: &File{Name: "a.png", Data: []byte("PNG")}}); err != nil {
		t.Fatal(err)
	}
	if made := a.made(); len(made) != 2 || made[1].files["photo"] != "PNG" {
		t.Errorf("calls: %+v", made)
	}
}

func TestFilesThatTelegramWouldNotTake(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	file := &File{Name: "a.png", Data: []byte("PNG")}
	for name, m := range map[string]Message{
		"both":      {Photo: file, Document: file},
		"empty":     {Photo: &File{Name: "a.png"}},
		"nameless":  {Document: &File{Data: []byte("x")}},
		"too large": {Photo: &File{Name: "a.png", Data: make([]byte, photoMost+1)}},
	} {
		m.ChatID, m.Text = 7, "words"
		if _, err := s.Send(context.Background(), m); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if err := s.Edit(context.Background(), 5, Message{ChatID: 7, Document: file}); err == nil {
		t.Error("a document was put in a message's place")
	}
	if made := a.made(); len(made) != 0 {
		t.Errorf("calls: %+v", made)
	}
}

func TestEditOfAPicture(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	m := Message{ChatID: 7, Text: "seven days", Photo: &File{Name: "chart.png", Data: []byte("PNG")}, Keyboard: keyboard("Copy")}
	if err := s.Edit(context.Background(), 5, m); err != nil {
		t.Fatal(err)
	}
	made := a.made()
	if len(made) != 1 || made[0].method != "editMessageMedia" || made[0].files["chart.png"] != "PNG" || made[0].params["reply_markup"] == "" ||
		!strings.Contains(made[0].params["media"], `"attach://chart.png"`) || !strings.Contains(made[0].params["media"], "seven days") {
		t.Errorf("calls: %+v", made)
	}
	a.script(func(call) reply { return refusal(400, "Bad Request: message is not modified") })
	if err := s.Edit(context.Background(), 5, m); err != nil {
		t.Error(err)
	}
}

func TestTopicThatIsGone(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.params["message_thread_id"] != "" {
			return refusal(400, "Bad Request: message thread not found")
		}
		return reply{}
	})
	if _, err := s.Send(context.Background(), Message{ChatID: -7, ThreadID: 3, Text: "x"}); err != nil {
		t.Error(err)
	}
	if made := a.made(); len(made) != 2 {
		t.Errorf("calls: %+v", made)
	}
}
