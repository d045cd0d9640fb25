package main

import (
	"context"
	little "encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// recording is a WAV file of so many seconds.
func recording(seconds int) []byte {
	head := []byte("RIFF....WAVEfmt ")
	for _, n := range []uint32{16, 1 | 1<<16, 1000, 1000, 1 | 8<<16} {
		head = little.LittleEndian.AppendUint32(head, n)
	}
	head = little.LittleEndian.AppendUint32(append(head, "data"...), uint32(1000*seconds))
	return append(head, make([]byte, 1000*seconds)...)
}

// TestE2EInput sends the server what people send beside words: each is read and paid for,
// and the books balance.
func TestE2EInput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "seeing.yaml")
	catalogue := strings.Replace(fmt.Sprintf(siteCatalogue, s.model.URL()), "  - id: echo\n", "  - id: echo\n    image_tokens: 1000\n", 1) +
		"  - {id: ear, operations: [transcriptions], prices: {minute: \"0.006\"}, deployments: [{provider: sim, model: sim-ear}]}\n"
	if err := os.WriteFile(file, []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["CATALOG_FILE"], s.env["CHAT_HEARING_MODEL"] = file, "ear"
	serve := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		say  telegramsim.Saying
		says string
	}{
		{telegramsim.Saying{Text: "see this", Attach: &telegramsim.Attachment{Kind: "photo", Data: telegramsim.Picture(64, 48)}}, `see this`},
		{telegramsim.Saying{Attach: &telegramsim.Attachment{Kind: "voice", Data: recording(3), Seconds: 3}}, `🎤 I heard 3\.0 seconds of sound\.`},
		{telegramsim.Saying{Text: "sum up", Attach: &telegramsim.Attachment{Kind: "document", Name: "a.txt", Data: []byte("words of a file")}}, `words of a file[\s\S]*sum up`},
		{telegramsim.Saying{Text: "open", Attach: &telegramsim.Attachment{Kind: "document", Name: "a.pdf", Data: []byte("PK\x03\x04")}}, `a\.pdf is called a PDF`},
		{telegramsim.Saying{Thing: "sticker"}, `This one I cannot read`},
	} {
		c.say.User = person
		if _, err := s.telegram.Send(c.say); err != nil {
			t.Fatal(err)
		}
		if _, err := s.telegram.WaitSent(ctx, person, said(c.says)); err != nil {
			t.Fatalf("no message like %q: %v", c.says, err)
		}
	}
	serve.stop()
	s.reconciled()
}
