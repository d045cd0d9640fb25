package telegramsim

import (
	"bytes"
	"strings"
	"testing"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

// The official-shaped client sends files, and what it sent can be fetched, sent again and edited.
func TestClientSendsFiles(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	u := started(t, s, 0, "Ada")
	picture := Picture(200, 100)
	photo, err := b.SendPhoto(ctx, &tg.SendPhotoParams{
		ChatID: u.ID, Photo: &models.InputFileUpload{Filename: "chart.png", Data: bytes.NewReader(picture)}, Caption: "*May*", ParseMode: models.ParseModeMarkdown,
	})
	if err != nil || len(photo.Photo) != 2 || photo.Photo[1].Width != 200 || photo.Caption != "May" || len(photo.CaptionEntities) != 1 {
		t.Fatal(photo, err)
	}
	document, err := b.SendDocument(ctx, &tg.SendDocumentParams{ChatID: u.ID, Document: &models.InputFileUpload{Filename: "chat.md", Data: strings.NewReader("# Hello")}})
	if err != nil || document.Document.FileName != "chat.md" {
		t.Fatal(document, err)
	}
	if data, err := s.File(document.Document.FileID); err != nil || string(data) != "# Hello" {
		t.Fatalf("%q, %v", data, err)
	}
	again, err := b.SendDocument(ctx, &tg.SendDocumentParams{ChatID: u.ID, Document: &models.InputFileString{Data: document.Document.FileID}})
	if err != nil || again.Document.FileUniqueID != document.Document.FileUniqueID {
		t.Fatal(again, err)
	}
	if edited, err := b.EditMessageCaption(ctx, &tg.EditMessageCaptionParams{ChatID: u.ID, MessageID: photo.ID, Caption: "June"}); err != nil || edited.Caption != "June" {
		t.Fatal(edited, err)
	}
	edited, err := b.EditMessageMedia(ctx, &tg.EditMessageMediaParams{ChatID: u.ID, MessageID: photo.ID, Media: &models.InputMediaPhoto{
		Media: "attach://june.png", MediaAttachment: bytes.NewReader(Picture(50, 50)), Caption: "July",
	}})
	if err != nil || edited.Caption != "July" || edited.Photo[0].Width != 50 {
		t.Fatal(edited, err)
	}
	album, err := b.SendMediaGroup(ctx, &tg.SendMediaGroupParams{ChatID: u.ID, Media: []models.InputMedia{
		&models.InputMediaPhoto{Media: "attach://a", MediaAttachment: bytes.NewReader(picture), Caption: "two"},
		&models.InputMediaPhoto{Media: edited.Photo[0].FileID},
	}})
	if err != nil || len(album) != 2 || album[0].MediaGroupID == "" || album[0].MediaGroupID != album[1].MediaGroupID || album[0].Caption != "two" {
		t.Fatal(album, err)
	}
	rich, err := b.SendRichMessage(ctx, &tg.SendRichMessageParams{ChatID: u.ID, RichMessage: models.InputRichMessage{Markdown: "# Hello"}})
	if err != nil || rich.RichMessage == nil || len(rich.RichMessage.Blocks) != 1 {
		t.Fatal(rich, err)
	}
	if v := s.Violations(); len(v) != 0 {
		t.Fatal(v)
	}
}

func TestFilesRefused(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	u := started(t, s, 0, "Ada")
	text, err := s.Send(Saying{User: u.ID, Attach: &Attachment{Kind: "document", Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	file := func(data []byte) models.InputFile {
		return &models.InputFileUpload{Filename: "f", Data: bytes.NewReader(data)}
	}
	for said, photo := range map[string]models.InputFile{
		"file must be non-empty":   file(nil),
		"IMAGE_PROCESS_FAILED":     file([]byte("not a picture")),
		"PHOTO_INVALID_DIMENSIONS": file(Picture(1000, 10)),
		"wrong remote file identifier specified: Wrong string length": &models.InputFileString{Data: "AgAC"},
		"can't use file of type Document as Photo":                    &models.InputFileString{Data: text.Document.FileID},
		"failed to get HTTP URL content":                              &models.InputFileString{Data: "https://example.com/a.png"},
		"file of size 10485761 bytes is too big for a photo":          file(make([]byte, maxPhotoBytes+1)),
	} {
		if _, err := b.SendPhoto(ctx, &tg.SendPhotoParams{ChatID: u.ID, Photo: photo}); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", said, err)
		}
	}
	for said, call := range map[string]func() rawAnswer{
		"there is no document in the request": func() rawAnswer { return post(t, s, "sendDocument", object{"chat_id": u.ID}) },
		"message caption is too long": func() rawAnswer {
			return post(t, s, "sendDocument", object{"chat_id": u.ID, "document": text.Document.FileID, "caption": strings.Repeat("x", maxCaption+1)})
		},
		"message album must contain 2-10 messages": func() rawAnswer {
			return post(t, s, "sendMediaGroup", object{"chat_id": u.ID, "media": []object{{"type": "document", "media": text.Document.FileID}}})
		},
		"can't parse InputMedia: media not found": func() rawAnswer {
			return post(t, s, "sendMediaGroup", object{"chat_id": u.ID, "media": []object{{"type": "document"}}})
		},
		"there is no caption in the message to edit": func() rawAnswer {
			m := post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "x"})
			if !m.OK {
				t.Fatal(m)
			}
			return post(t, s, "editMessageCaption", object{"chat_id": u.ID, "message_id": len(s.Messages(u.ID)), "caption": "y"})
		},
		"exactly one of the fields": func() rawAnswer {
			return post(t, s, "sendRichMessage", object{"chat_id": u.ID, "rich_message": object{"markdown": "a", "html": "b"}})
		},
		"message is too long": func() rawAnswer {
			return post(t, s, "sendRichMessage", object{"chat_id": u.ID, "rich_message": object{"markdown": strings.Repeat("x", maxRichText+1)}})
		},
		"rich message is too complex": func() rawAnswer {
			blocks := make([]object, maxRichBlocks+1)
			for i := range blocks {
				blocks[i] = object{"type": "paragraph", "text": "x"}
			}
			return post(t, s, "sendRichMessage", object{"chat_id": u.ID, "rich_message": object{"blocks": blocks}})
		},
	} {
		if a := call(); a.OK || !strings.Contains(a.Description, said) {
			t.Errorf("%s: %+v", said, a)
		}
	}
	if d := post(t, s, "sendRichMessageDraft", object{"chat_id": u.ID, "draft_id": 5, "can_stop": true, "rich_message": object{"markdown": "part"}}); !d.OK {
		t.Error(d)
	}
	if d := s.Draft(u.ID); d == nil || d.Rich == nil || !d.CanStop {
		t.Errorf("%+v", d)
	}
}
