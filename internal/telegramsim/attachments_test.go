package telegramsim

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// delivered reads the updates that wait, as the bot would, each checked against the documentation.
func delivered(t *testing.T, s *Server) []object {
	t.Helper()
	updates, _ := s.updates.first(1000, s.now())
	var list []object
	for _, u := range updates {
		if err := spec.CheckObject("Update", u.Body); err != nil {
			t.Errorf("%v\n%s", err, u.Body)
		}
		list = append(list, object{"kind": u.Kind, "body": string(u.Body)})
	}
	return list
}

// fetched gets a file as a bot does: the path, then the content.
func fetched(t *testing.T, s *Server, id string) (rawAnswer, *http.Response, []byte, error) {
	t.Helper()
	a := post(t, s, "getFile", object{"file_id": id})
	if !a.OK {
		return a, nil, nil, nil
	}
	path := filepath.ToSlash(stringOf(t, a.Result, "file_path"))
	r, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.URL()+"/file/bot"+testToken+"/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, MaxDownload+1))
	return a, response, data, err
}

// Every kind of file and thing arrives in its documented shape, and files can be fetched as they were sent.
func TestAttachments(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	content := []byte("the content")
	for kind, id := range map[string]func(m *Message) FileRef{
		"document":   func(m *Message) FileRef { return m.Document.FileRef },
		"voice":      func(m *Message) FileRef { return m.Voice.FileRef },
		"audio":      func(m *Message) FileRef { return m.Audio.FileRef },
		"video":      func(m *Message) FileRef { return m.Video.FileRef },
		"video_note": func(m *Message) FileRef { return m.VideoNote.FileRef },
		"animation":  func(m *Message) FileRef { return m.Animation.FileRef },
	} {
		m, err := s.Send(Saying{User: u.ID, Text: "see /this", Attach: &Attachment{Kind: kind, Name: "a.txt", Data: content, Width: 2, Height: 2, Seconds: 3}})
		if err != nil || m.Caption != "see /this" || m.Text != "" || len(m.CaptionEntities) != 1 {
			t.Fatal(kind, m, err)
		}
		if _, _, data, err := fetched(t, s, id(m).FileID); err != nil || !bytes.Equal(data, content) {
			t.Errorf("%s: %q, %v", kind, data, err)
		}
	}
	for _, thing := range Things() {
		if m, err := s.Send(Saying{User: u.ID, Thing: thing}); err != nil || m.Text != "" {
			t.Error(thing, m, err)
		}
	}
	if updates := delivered(t, s); len(updates) != 1+6+len(Things()) {
		t.Errorf("%d updates", len(updates))
	}
	for _, say := range []Saying{
		{User: u.ID, Thing: "successful_payment"},
		{User: u.ID, Thing: "location", Shape: []byte(`{"latitude": "north"}`)},
		{User: u.ID, Attach: &Attachment{Kind: "photo", Data: content}},
		{User: u.ID, Attach: &Attachment{Kind: "scroll"}},
		{User: u.ID, Attach: &Attachment{Kind: "voice", Fault: "mumbled"}},
		{User: u.ID, Attach: &Attachment{Kind: "voice"}, Text: strings.Repeat("x", maxCaption+1)},
	} {
		if m, err := s.Send(say); err == nil {
			t.Errorf("sent %+v", m)
		}
	}
}

func TestPhotoSizes(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	m, err := s.Send(Saying{User: u.ID, Attach: &Attachment{Kind: "photo", Data: Picture(1600, 400)}})
	if err != nil || len(m.Photo) != 4 {
		t.Fatal(m, err)
	}
	for i, width := range []int{90, 320, 800, 1280} {
		size := m.Photo[i]
		_, _, data, err := fetched(t, s, size.FileID)
		if err != nil || size.Width != width || size.Height != width/4 || size.FileSize != int64(len(data)) {
			t.Fatalf("%+v: %d bytes, %v", size, len(data), err)
		}
		if config, format, err := image.DecodeConfig(bytes.NewReader(data)); err != nil || format != "jpeg" || config.Width != width {
			t.Errorf("%d: %s %v %v", width, format, config.Width, err)
		}
	}
	if small, err := s.Send(Saying{User: u.ID, Attach: &Attachment{Kind: "photo", Data: Picture(80, 80)}}); err != nil || len(small.Photo) != 1 {
		t.Error(small, err)
	}
}

func TestFilesThatCannotBeFetched(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	file := func(a Attachment) string {
		t.Helper()
		a.Kind = "document"
		m, err := s.Send(Saying{User: u.ID, Attach: &a})
		if err != nil {
			t.Fatal(err)
		}
		return m.Document.FileID
	}
	for id, said := range map[string]string{
		"": "file_id not specified", "AgAD": "invalid file_id",
		file(Attachment{Size: MaxDownload + 1}):  "file is too big",
		file(Attachment{Fault: FileUnavailable}): "wrong file_id or the file is temporarily unavailable",
	} {
		if a, _, _, _ := fetched(t, s, id); a.OK || a.Description != "Bad Request: "+said {
			t.Errorf("%q: %+v", said, a)
		}
	}
	if _, response, _, err := fetched(t, s, file(Attachment{Fault: FileMissing})); err != nil || response.StatusCode != http.StatusNotFound {
		t.Error(response, err)
	}
	if _, _, data, err := fetched(t, s, file(Attachment{Size: 3000, Fault: FileCut})); !errors.Is(err, io.ErrUnexpectedEOF) || len(data) != 1500 {
		t.Error(len(data), err)
	}
	if _, response, data, err := fetched(t, s, file(Attachment{Size: MaxDownload})); err != nil || len(data) != MaxDownload || response.ContentLength != MaxDownload {
		t.Error(len(data), err)
	}
	if _, response, data, err := fetched(t, s, file(Attachment{Size: 10, Fault: FileEndless})); err != nil || len(data) <= MaxDownload || response.ContentLength >= 0 {
		t.Error(len(data), response.ContentLength, err)
	}
	slow := file(Attachment{Data: []byte("slow"), Fault: FileSlow})
	if _, _, data, err := fetched(t, s, slow); err != nil || string(data) != "slow" {
		t.Error(data, err)
	}
	for _, path := range []string{"/file/bot1:wrong/documents/file_1", "/file/bot" + testToken + "/documents/../x", "/file/bot" + testToken} {
		if status, _ := pageCall(t, s, http.MethodGet, path, nil, nil); status != http.StatusNotFound {
			t.Error(path, status)
		}
	}
	if err := s.SetFaults(Faults{BadGatewayPercent: 100}); err != nil {
		t.Fatal(err)
	}
	if status, _ := pageCall(t, s, http.MethodGet, "/file/bot"+testToken+"/documents/file_6", nil, nil); status != http.StatusBadGateway && status != http.StatusNotFound {
		t.Error(status)
	}
}

func TestAlbum(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	picture := Attachment{Kind: "photo", Data: Picture(20, 20)}
	sent, err := s.SendAlbum(Saying{User: u.ID, Text: "three"}, picture, Attachment{Kind: "video", Width: 1, Height: 1}, picture)
	if err != nil || len(sent) != 3 {
		t.Fatal(sent, err)
	}
	for i, m := range sent {
		if m.MediaGroupID == "" || m.MediaGroupID != sent[0].MediaGroupID || (m.Caption == "three") != (i == 0) {
			t.Errorf("%d: %+v", i, m)
		}
	}
	again, err := s.SendAlbum(Saying{User: u.ID}, picture, picture)
	if err != nil || again[0].MediaGroupID == sent[0].MediaGroupID {
		t.Error(again, err)
	}
	document := Attachment{Kind: "document"}
	for _, album := range [][]Attachment{{picture}, {picture, document}, {{Kind: "voice"}, {Kind: "voice"}}, make([]Attachment, 11)} {
		if _, err := s.SendAlbum(Saying{User: u.ID}, album...); !errors.Is(err, ErrAlbum) {
			t.Errorf("%d: %v", len(album), err)
		}
	}
}

func TestRepliesQuotesAndForwards(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	first, err := s.Say(u.ID, "one 👋 two three")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Send(Saying{User: u.ID, Text: "why?", Reply: first.MessageID, Quote: "two"})
	if err != nil || m.Quote == nil || m.Quote.Position != 7 || m.ReplyToMessage.MessageID != first.MessageID {
		t.Fatal(m, err)
	}
	next, err := s.Send(Saying{User: u.ID, Text: "and?", Reply: m.MessageID})
	if err != nil || next.ReplyToMessage.ReplyToMessage != nil || next.ReplyToMessage.Quote != nil {
		t.Fatal(next, err)
	}
	external := spec.Object("ExternalReplyInfo")
	for _, say := range []Saying{
		{User: u.ID, Text: "said elsewhere", External: external, Quote: "that"},
		{User: u.ID, Text: "theirs", Forward: &Origin{Type: "user", Date: 1, SenderUser: &u}},
		{User: u.ID, Text: "nobody's", Forward: &Origin{Type: "hidden_user", Date: 1, SenderUserName: "Somebody"}},
		{User: u.ID, Text: "a channel's", Forward: &Origin{Type: "channel", Date: 1, MessageID: 3, Chat: &Chat{ID: -100, Type: ChatChannel, Title: "News"}}},
	} {
		if _, err := s.Send(say); err != nil {
			t.Error(say.Text, err)
		}
	}
	for _, say := range []Saying{
		{User: u.ID, Text: "x", Quote: "two"},
		{User: u.ID, Text: "x", Reply: first.MessageID, Quote: "four"},
		{User: u.ID, Text: "x", External: []byte(`{"chat": 5}`)},
	} {
		if _, err := s.Send(say); !errors.Is(err, ErrQuote) {
			t.Error(err)
		}
	}
	delivered(t, s)
}

func TestPaste(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	text := strings.Repeat("я", maxText-1) + "👋" + strings.Repeat("z", 5000)
	sent, err := s.Paste(Saying{User: u.ID, Text: text})
	if err != nil || len(sent) != 3 {
		t.Fatal(len(sent), err)
	}
	joined := ""
	for _, m := range sent {
		joined += m.Text
	}
	if joined != text || utf16Len(sent[0].Text) != maxText-1 {
		t.Errorf("%d units first, whole: %t", utf16Len(sent[0].Text), joined == text)
	}
}

func TestEditOfACaption(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	m, err := s.Send(Saying{User: u.ID, Text: "old", Attach: &Attachment{Kind: "document"}})
	if err != nil {
		t.Fatal(err)
	}
	edited, err := s.Edit(u.ID, 0, m.MessageID, "new /help")
	if err != nil || edited.Caption != "new /help" || edited.Text != "" || len(edited.CaptionEntities) != 1 {
		t.Fatal(edited, err)
	}
	sticker, err := s.Send(Saying{User: u.ID, Thing: "sticker"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Edit(u.ID, 0, sticker.MessageID, "text"); !errors.Is(err, ErrTextInvalid) {
		t.Error(err)
	}
	delivered(t, s)
}

// The page sends files, and shows them again after a restart.
func TestPageFiles(t *testing.T) {
	data := filepath.Join(t.TempDir(), "telegram.json")
	first, err := Start(Options{Token: testToken, DataFile: data})
	if err != nil {
		t.Fatal(err)
	}
	u := started(t, first, 0, "Ada")
	page := object{"user": u.ID, "text": "look", "attachments": []object{
		{"kind": "document", "name": "page.html", "data": base64.StdEncoding.EncodeToString([]byte("<script>"))},
	}}
	status, sent := pageCall(t, first, "POST", "/sim/send", page, nil)
	id := sent.Get("message.document.file_id").String()
	if status != 200 || sent.Get("message.document.mime_type").String() != "text/html" || id == "" {
		t.Fatal(status, sent)
	}
	page["attachments"] = []object{{"kind": "photo", "data": Picture(9, 9)}, {"kind": "photo", "data": Picture(9, 9)}}
	if status, sent := pageCall(t, first, "POST", "/sim/send", page, nil); status != 200 || sent.Get("messages.#").Int() != 2 {
		t.Fatal(status, sent)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{DataFile: data})
	r, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.URL()+"/sim/file?id="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || string(body) != "<script>" || response.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q, %v, %v", body, response.Header, err)
	}
	if _, _, data, err := fetched(t, s, id); err != nil || string(data) != "<script>" {
		t.Errorf("%q, %v", data, err)
	}
	if status, _ := pageCall(t, s, "GET", "/sim/file?id=x", nil, nil); status != http.StatusNotFound {
		t.Error(status)
	}
}
