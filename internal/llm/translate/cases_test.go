package translate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/cases"
)

var update = flag.Bool("update", false, "write what comes out into testdata, to be read before it is kept")

// runCases holds what come computes from a case's section "in" against its "out", byte
// for byte but for spaces between tokens, or an error against its "error".
func runCases(t *testing.T, file string, come func(c *cases.Case) ([]byte, error)) {
	t.Helper()
	table := cases.Read(t, filepath.Join("testdata", file))
	for i := range table {
		c := &table[i]
		t.Run(c.Name, func(t *testing.T) {
			out, err := come(c)
			name, got := "out", string(out)
			if err != nil {
				name, got = "error", strings.TrimSpace(describe(err))
			} else if !json.Valid(out) {
				t.Fatalf("no JSON: %s", out)
			}
			if *update {
				c.Set(name, got)
				return
			}
			want := strings.TrimSpace(c.Get(name))
			if name == "out" {
				got, want = compact(t, got), compact(t, want)
			}
			if got != want {
				t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
			}
		})
	}
	if *update {
		cases.Write(t, filepath.Join("testdata", file), table)
	}
}

// compact takes out the spaces between tokens, and nothing else.
func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return b.String()
}

func describe(err error) string {
	var refused *translate.Error
	if errors.As(err, &refused) {
		return refused.Param + "\n" + refused.Message
	}
	return err.Error()
}

// outOf reads a case's section "asks", a translate.Out as JSON.
func outOf(t *testing.T, c *cases.Case) (o translate.Out) {
	t.Helper()
	if text := c.Get("asks"); text != "" {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestChatToMessages(t *testing.T) {
	runCases(t, "chat_to_messages.txt", func(c *cases.Case) ([]byte, error) {
		return translate.ChatToMessages([]byte(c.Get("in")), outOf(t, c))
	})
}

func TestMessagesToChat(t *testing.T) {
	runCases(t, "messages_to_chat.txt", func(c *cases.Case) ([]byte, error) {
		return translate.MessagesToChat([]byte(c.Get("in")), outOf(t, c))
	})
}

func TestResponsesToChat(t *testing.T) {
	runCases(t, "responses_to_chat.txt", func(c *cases.Case) ([]byte, error) {
		return translate.ResponsesToChat([]byte(c.Get("in")), outOf(t, c))
	})
}

func TestResponsesToMessages(t *testing.T) {
	runCases(t, "responses_to_messages.txt", func(c *cases.Case) ([]byte, error) {
		return translate.ResponsesToMessages([]byte(c.Get("in")), outOf(t, c))
	})
}
