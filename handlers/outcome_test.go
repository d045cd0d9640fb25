package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// An answer in Markdown arrives as text with entities, its cost below in plain words:
// an open fence in the answer does not swallow it, its dollars make no formula.
func TestAnswerIsFormatted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{Text: "A **bold** word\n```go\nx := 1", CostNano: 45_000, AvailableNano: 499_955_000}, nil
	}
	r.say("go")
	messages := r.telegram.Messages(person)
	last := messages[len(messages)-1]
	if !strings.HasPrefix(last.Text, "A bold word\nx := 1\n\n") || strings.Count(last.Text, "$") != 2 {
		t.Errorf("text: %q", last.Text)
	}
	if len(last.Entities) != 2 || last.Entities[0].Type != "bold" || last.Entities[1].Type != "pre" || last.Entities[1].Language != "go" || last.Entities[1].Length != 6 {
		t.Errorf("entities: %+v", last.Entities)
	}
}

// A long answer comes in parts with a button that sends it as a file, or as a file at
// once where the person chose that; an answer of before is gone.
func TestLongAnswerAsAFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text := strings.Repeat("A **bold** paragraph of an answer.\n\n", 600)
	r.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{Text: text, CostNano: 45_000, AvailableNano: 499_955_000}, nil
	}
	files := func() (sent []*telegramsim.Message) {
		for _, m := range r.telegram.Messages(person) {
			if m.Document != nil {
				sent = append(sent, m)
			}
		}
		return sent
	}
	r.say("at length, please")
	messages := r.telegram.Messages(person)
	last := messages[len(messages)-1]
	data := "file:" + fmt.Sprint(r.updates)
	if !strings.Contains(string(last.ReplyMarkup), data) || len(files()) != 0 {
		t.Fatalf("keyboard %s, %d files", last.ReplyMarkup, len(files()))
	}
	r.handle(r.press(9001, data))
	if sent := files(); len(sent) != 1 || sent[0].Document.FileName != "kikuai-answer.md" || sent[0].Document.FileSize != int64(len(strings.TrimSpace(text))+1) {
		t.Fatalf("files: %+v", sent)
	}
	for i, unknown := range []string{"file:" + "77", "file:" + "x"} {
		r.handle(r.press(9002+int64(i), unknown))
	}
	if n := len(files()); n != 1 {
		t.Errorf("%d files of answers that are gone", n)
	}
}
