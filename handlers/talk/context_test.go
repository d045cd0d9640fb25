package talk

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm"
)

// TestLongContextIsCut: a conversation that could not be summed up goes as far as there is
// room.
func TestLongContextIsCut(t *testing.T) {
	t.Parallel()
	k := talk{}
	for i := range 50 {
		k.exchanges = append(k.exchanges, exchange{Question: strings.Repeat("q", 4000), Answer: strconv.Itoa(i)})
	}
	tn := &turn{before: k, asks: question{message: llm.Message{Role: "user", Content: "now"}, kept: "now"}}
	messages := tn.messages(5_000)
	if n := len(messages); n != 9 || messages[7].Content != "49" {
		t.Errorf("%d messages", n)
	}
	if n := len(tn.messages(0)); n != 1 {
		t.Errorf("%d messages without room", n)
	}
}
