package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

// BenchmarkChatToMessages translates a request of about 4 KB, and one of 100 KB.
func BenchmarkChatToMessages(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		text := strings.Repeat("It was a dark and stormy night. ", size/64)
		body := fmt.Appendf(nil, `{"model":"claude-opus-4-6","max_tokens":100,"messages":[{"role":"system","content":%q},{"role":"user","content":%q}]}`, text, text)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := translate.ChatToMessages(body, translate.Out{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream translates one delta of text in each direction.
func BenchmarkStream(b *testing.B) {
	for name, c := range map[string]struct {
		stream       func() stream
		begin, delta string
	}{
		"messages to chat": {func() stream { return translate.NewChatStream(called, true) },
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" and"}}`},
		"chat to messages": {func() stream { return translate.NewMessagesStream(called) },
			`{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" and"},"finish_reason":null}]}`},
	} {
		b.Run(name, func(b *testing.B) {
			s := c.stream()
			out, err := s.Event(nil, []byte(c.begin))
			if err != nil {
				b.Fatal(err)
			}
			delta := []byte(c.delta)
			b.ReportAllocs()
			for b.Loop() {
				if out, err = s.Event(out[:0], delta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
