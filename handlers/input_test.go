package handlers

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

const inputCatalogue = `
providers: [{name: here, protocol: openai, base_url: "http://127.0.0.1:1/v1", local: true}]
models:
  - {id: a-model, prices: {input: "1", output: "1"}, context: 100000, max_output: 1000, image_tokens: 1000, deployments: [{provider: here, model: a}]}
  - {id: blind, prices: {input: "1", output: "1"}, context: 100000, max_output: 1000, deployments: [{provider: here, model: b}]}
  - {id: dear, prices: {input: "9", output: "9"}, context: 100000, max_output: 1000, sees: true, deployments: [{provider: here, model: c}]}
  - {id: ear, operations: [transcriptions], prices: {minute: "0.006"}, deployments: [{provider: here, model: e}]}
`

// ear hears what the test says.
type ear struct {
	mu    sync.Mutex
	calls []llm.HearCall
	says  func(llm.HearCall) (llm.Heard, error)
}

func (e *ear) Hear(_ context.Context, call llm.HearCall) (llm.Heard, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call)
	return e.says(call)
}

// newReader is a rig that can fetch, see and hear.
func newReader(t *testing.T) (*serving, *ear) {
	t.Helper()
	r := newRig(t)
	web := bot.NewHTTPClient()
	t.Cleanup(web.CloseIdleConnections)
	api, err := bot.NewClient(token, r.telegram.URL(), web)
	if err != nil {
		t.Fatal(err)
	}
	r.options.Talk.Files = bot.NewFiles(api, web)
	e := &ear{says: func(llm.HearCall) (llm.Heard, error) {
		return llm.Heard{Text: "how are you", CostNano: 1_000_000, AvailableNano: 1}, nil
	}}
	r.options.Talk.Hearer, r.options.Talk.HearModel = e, "ear"
	if r.options.Talk.Catalogue, err = llm.LoadCatalogue([]byte(inputCatalogue), func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	r.reopen()
	return r.serve(), e
}

// sends lets the person send something and returns what the bot says to it.
func (s *serving) sends(say telegramsim.Saying) string {
	s.t.Helper()
	before := len(s.answered(1))
	say.User = person
	if _, err := s.telegram.Send(say); err != nil {
		s.t.Fatal(err)
	}
	return s.answered(before + 1)[before]
}

// lastQuestion is the last call's question.
func (s *serving) lastQuestion() llm.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.calls[len(s.calls)-1].Messages
	return m[len(m)-1]
}

func (s *serving) asks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// words are all words of a message.
func words(m llm.Message) string {
	all := m.Content
	for _, p := range m.Parts {
		all += p.Text
	}
	return all
}

func pictures(m llm.Message) (n int) {
	for _, p := range m.Parts {
		if strings.HasPrefix(p.Image, "data:image/") {
			n++
		}
	}
	return n
}

func file(kind, name string, data []byte) *telegramsim.Attachment {
	return &telegramsim.Attachment{Kind: kind, Name: name, Data: data, Seconds: 3}
}

// What people send is read, each kind in its way, and asked.
func TestInput(t *testing.T) {
	t.Parallel()
	s, ear := newReader(t)
	s.answer = func(llm.ChatCall) (llm.ChatAnswer, error) { return llm.ChatAnswer{Text: "Noted."}, nil }
	for _, c := range []struct {
		name     string
		say      telegramsim.Saying
		asked    []string // in the question's words
		pictures int
		shown    string // in the answer
	}{
		{"a photo", telegramsim.Saying{Attach: file("photo", "", telegramsim.Picture(40, 30)), Text: "what is it?"}, []string{"what is it?"}, 1, ""},
		{"a photo without words", telegramsim.Saying{Attach: file("photo", "", telegramsim.Picture(40, 30))}, nil, 1, ""},
		{"a picture as a file", telegramsim.Saying{Attach: file("document", "a.png", telegramsim.Picture(40, 30))}, nil, 1, ""},
		{"a voice message", telegramsim.Saying{Attach: file("voice", "", []byte("OggS"))}, []string{"how are you"}, 0, "🎤 how are you"},
		{"a video note", telegramsim.Saying{Attach: file("video_note", "", []byte("mp4"))}, []string{"how are you"}, 0, "🎤 how are you"},
		{"a song", telegramsim.Saying{Attach: file("audio", "a.mp3", []byte("ID3")), Text: "who sings?"}, []string{"how are you", "who sings?"}, 0, "🎤"},
		{"a text file", telegramsim.Saying{Attach: file("document", "main.go", []byte("package main")), Text: "review"}, []string{"main.go", "package main", "review"}, 0, ""},
		{"a long file", telegramsim.Saying{Attach: file("document", "a.csv", bytes.Repeat([]byte("1,2,3\n"), 60_000))}, []string{"its beginning", "1,2,3"}, 0, "a.csv"},
		{"a web page", telegramsim.Saying{Attach: file("document", "a.html", []byte("<p>Hello <b>there</b><script>no()</script>"))}, []string{"Hello there"}, 0, ""},
		{"a forward", telegramsim.Saying{Text: "buy milk", Forward: &telegramsim.Origin{Type: "hidden_user", Date: 1, SenderUserName: "Grace"}}, []string{"by Grace", "buy milk"}, 0, ""},
	} {
		calls := s.asks()
		answer := s.sends(c.say)
		if s.asks() != calls+1 {
			t.Errorf("%s: asked %d times, answer %q", c.name, s.asks()-calls, answer)
			continue
		}
		q := s.lastQuestion()
		for _, want := range c.asked {
			if !strings.Contains(words(q), want) {
				t.Errorf("%s: asked %.300q, want %q in it", c.name, words(q), want)
			}
		}
		if pictures(q) != c.pictures || !strings.Contains(answer, c.shown) || strings.Contains(words(q), "no()") {
			t.Errorf("%s: %d pictures, answer %q", c.name, pictures(q), answer)
		}
	}
	s.settled()
	if len(ear.calls) != 3 || ear.calls[0].Model != "ear" || !strings.HasSuffix(ear.calls[0].Name, ".ogg") {
		t.Errorf("heard %+v", ear.calls)
	}
}

// A reply goes to the model with what it answers: the part that was marked, the whole
// message, or the picture in it.
func TestReplies(t *testing.T) {
	t.Parallel()
	s, _ := newReader(t)
	first, err := s.telegram.Send(telegramsim.Saying{User: person, Text: "one two three"})
	if err != nil {
		t.Fatal(err)
	}
	s.answered(2)
	s.sends(telegramsim.Saying{Text: "explain", Reply: first.MessageID})
	if q := words(s.lastQuestion()); !strings.Contains(q, "by Ada") || !strings.Contains(q, "one two three") || !strings.Contains(q, "explain") {
		t.Errorf("asked %q", q)
	}
	s.sends(telegramsim.Saying{Text: "and this", Reply: first.MessageID, Quote: "two"})
	if q := words(s.lastQuestion()); !strings.Contains(q, "part of a message by Ada") || strings.Contains(q, "one two three") {
		t.Errorf("asked %q", q)
	}
	photo, err := s.telegram.Send(telegramsim.Saying{User: person, Attach: file("photo", "", telegramsim.Picture(20, 20))})
	if err != nil {
		t.Fatal(err)
	}
	s.answered(5)
	s.sends(telegramsim.Saying{Text: "what colour?", Reply: photo.MessageID})
	if q := s.lastQuestion(); pictures(q) != 1 || !strings.Contains(words(q), "what colour?") {
		t.Errorf("%d pictures, asked %q", pictures(q), words(q))
	}
	s.settled()
}

// What cannot be read is said so, each in its way; nobody is asked and nothing is charged.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	s, ear := newReader(t)
	large := image.NewPaletted(image.Rect(0, 0, 8000, 6000), color.Palette{color.White, color.Black})
	var huge bytes.Buffer
	if err := png.Encode(&huge, large); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 4_000_000)
	chance := rand.NewChaCha8([32]byte{})
	_, _ = chance.Read(noise)
	zip := append([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"), noise[:2000]...)
	for _, c := range []struct {
		name   string
		attach telegramsim.Attachment
		says   string
	}{
		{"a zip named pdf", telegramsim.Attachment{Kind: "document", Name: "report.pdf", Data: zip}, "report.pdf is called a PDF"},
		{"a zip", telegramsim.Attachment{Kind: "document", Name: "all.zip", Data: zip}, "I cannot read all.zip"},
		{"a nameless program", telegramsim.Attachment{Kind: "document", Data: []byte("\x7fELF\x02\x01\x01\x00\x00\x00")}, "I cannot read the file"},
		{"a name that turns round", telegramsim.Attachment{Kind: "document", Name: "a\u202egnp.exe", Data: zip}, "I cannot read agnp.exe"},
		{"a broken pdf", telegramsim.Attachment{Kind: "document", Name: "a.pdf", Data: []byte("%PDF-1.4\n%%EOF")}, "a.pdf is damaged"},
		{"an empty text", telegramsim.Attachment{Kind: "document", Name: "a.txt", Data: []byte("\n \n")}, "holds no words"},
		{"above twenty megabytes", telegramsim.Attachment{Kind: "document", Name: "a.txt", Data: []byte("a"), Size: bot.FileMost + 1}, "larger than the 20 MB"},
		{"not to be fetched", telegramsim.Attachment{Kind: "document", Name: "a.txt", Data: []byte("a"), Fault: telegramsim.FileUnavailable}, "did not hand me"},
		{"gone", telegramsim.Attachment{Kind: "voice", Data: []byte("a"), Fault: telegramsim.FileMissing}, "did not hand me"},
		{"no picture", telegramsim.Attachment{Kind: "document", Name: "a.png", MIME: "image/png", Data: []byte("text")}, "cannot open that picture"},
		{"too many pixels", telegramsim.Attachment{Kind: "document", Name: "a.png", MIME: "image/png", Data: huge.Bytes()}, ""},
		{"no sound", telegramsim.Attachment{Kind: "audio", Name: "a.mp3", Data: []byte("a")}, "cannot play"},
		{"a film", telegramsim.Attachment{Kind: "video", Data: []byte("a")}, "This one I cannot read"},
		{"a GIF", telegramsim.Attachment{Kind: "animation", Data: []byte("a")}, "This one I cannot read"},
	} {
		ear.says = func(llm.HearCall) (llm.Heard, error) {
			return llm.Heard{}, &llm.RequestError{Param: "file", Message: "no"}
		}
		calls := s.asks()
		if answer := s.sends(telegramsim.Saying{Attach: &c.attach, Text: "what is it?"}); c.says != "" && (!strings.Contains(answer, c.says) || s.asks() != calls) {
			t.Errorf("%s: %q, asked %d times", c.name, answer, s.asks()-calls)
		}
	}
	ear.says = func(llm.HearCall) (llm.Heard, error) { return llm.Heard{}, nil }
	if answer := s.sends(telegramsim.Saying{Attach: file("voice", "", []byte("a"))}); !strings.Contains(answer, "heard no words") {
		t.Errorf("silence: %q", answer)
	}
	ear.says = func(llm.HearCall) (llm.Heard, error) {
		return llm.Heard{}, &billing.PoorError{Need: 5_000_000_000, Available: 1}
	}
	if answer := s.sends(telegramsim.Saying{Attach: file("voice", "", []byte("a"))}); !strings.Contains(answer, "/topup") {
		t.Errorf("poor: %q", answer)
	}
	s.router.Model = "blind"
	if answer := s.sends(telegramsim.Saying{Attach: file("photo", "", telegramsim.Picture(9, 9))}); !strings.Contains(answer, "blind cannot see pictures, but a-model can") {
		t.Errorf("blind: %q", answer)
	}
	s.settled()
}

// What was heard is heard once, however often its turn begins.
func TestHeardOnce(t *testing.T) {
	t.Parallel()
	s, ear := newReader(t)
	tries := 0
	s.streams = func(_ context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
		if tries++; tries < 3 {
			return llm.ChatAnswer{}, errors.New("broken")
		}
		answer, err := s.answer(call)
		return answer, errors.Join(err, onText(answer.Text))
	}
	if answer := s.sends(telegramsim.Saying{Attach: file("voice", "", []byte("a"))}); !strings.Contains(answer, "$0.001045") {
		t.Errorf("answer %q", answer)
	}
	s.settled()
	if tries != 3 || len(ear.calls) != 1 {
		t.Errorf("%d tries, heard %d times", tries, len(ear.calls))
	}
}

// An album is one question with all its pictures, however quick the model.
func TestAlbumIsOneTurn(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]bool{"instant": false, "a second": true} {
		t.Run(name, func(t *testing.T) {
			s, _ := newReader(t)
			if slow {
				s.slow()
			}
			var album []telegramsim.Attachment
			for range 10 {
				album = append(album, *file("photo", "", telegramsim.Picture(30, 20)))
			}
			if _, err := s.telegram.SendAlbum(telegramsim.Saying{User: person, Text: "compare them"}, album...); err != nil {
				t.Fatal(err)
			}
			s.answered(2)
			s.settled()
			if q := s.lastQuestion(); s.asks() != 1 || pictures(q) != 10 || words(q) != "compare them" || len(s.answered(2)) != 2 {
				t.Errorf("%d calls, %d pictures, %q, %d answers", s.asks(), pictures(q), words(q), len(s.answered(2)))
			}
			s.once(10)
		})
	}
}
