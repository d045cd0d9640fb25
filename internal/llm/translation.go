package llm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

// translation reads what a provider answers in one protocol and writes it in another. It
// is the reading and the writing of its Rendition.
type translation struct {
	reading
	begin  func(translate.Answer) translator
	stream translator // of a streamed answer that has begun; else nil
	turn   func(answer []byte, a translate.Answer) ([]byte, error)
	client protocol
	told   translate.Answer

	body   string // an unstreamed answer in the client's protocol
	events []byte
}

// translator turns a stream's events, see package translate.
type translator interface {
	Event(to, data []byte) ([]byte, error)
	Close(to []byte, f translate.Final) []byte
}

// protocol is how a client's protocol writes what is ours to say: the cost into an
// answer's usage, and an error into a stream.
type protocol struct {
	cost func(to []byte, body string, usage gjson.Result, f Final) []byte
	fail func(to []byte, t translator, f Failure) []byte
}

var (
	chatProtocol     = protocol{appendWithCost, func(to []byte, _ translator, f Failure) []byte { return failChat(to, f) }}
	messagesProtocol = protocol{appendMessagesCost, func(to []byte, _ translator, f Failure) []byte { return failMessages(to, f) }}
)

// newTranslation is the rendition of an answer that read understands for a client of
// another protocol. stream and turn are translate's, for streamed and whole answers.
func newTranslation(read reading, client protocol, stream func(translate.Answer) translator,
	turn func([]byte, translate.Answer) ([]byte, error)) Rendition {
	t := &translation{reading: read, client: client, begin: stream, turn: turn, told: translate.Answer{ID: rand.Text(), Created: time.Now().Unix()}}
	return Rendition{read: t, write: t}
}

// streamed is the stream's translator, which begins with its first event.
func (t *translation) streamed() translator {
	if t.stream == nil {
		t.stream = t.begin(t.told)
	}
	return t.stream
}

// whole translates at once: what cannot be translated is no answer.
func (t *translation) whole(a *Answer) error {
	if err := t.reading.whole(a); err != nil {
		return err
	}
	body, err := t.turn(a.Bytes(), t.told)
	if err != nil {
		return translated(err, errNoAnswer)
	}
	t.body = string(body)
	return nil
}

func (t *translation) passed(e Event) (_ []byte, err error) {
	t.events, err = t.streamed().Event(t.events[:0], e.Data)
	return t.events, translated(err, ErrBrokenEvent)
}

func (t *translation) closing(to []byte, f Final) []byte {
	return t.streamed().Close(to, translate.Final{
		Usage: &translate.Usage{
			Prompt: f.Prompt, Cached: f.Cached + f.CachedInputAudio, CacheWrite: f.CacheWrite, CacheWrite1h: f.CacheWrite1h,
			Completion: f.Completion, Reasoning: f.Reasoning,
		},
		Cost: f.Cost, Estimated: f.Estimated,
	})
}

func (t *translation) failing(to []byte, f Failure) []byte { return t.client.fail(to, t.streamed(), f) }

func (t *translation) answer(to []byte, f Final) ([]byte, string) {
	return t.client.cost(to, t.body, gjson.Get(t.body, "usage"), f), contentJSON
}

// translated is an error of package translate's in words of this one; broken says what it
// is where the provider's words made no sense.
func translated(err, broken error) error {
	var (
		refused  *translate.Error
		reported *translate.ProviderError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &RequestError{Param: refused.Param, Message: refused.Message}
	case errors.As(err, &reported):
		return ErrReported
	}
	return fmt.Errorf("%w: %w", broken, err)
}

// sendMessages sends a chat completion request to a provider of Anthropic's protocol.
func (r *chatRequest) sendMessages(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	body, err := translate.ChatToMessages([]byte(r.body), translate.Out{Model: d.Model, MaxTokens: maxOutput})
	if err != nil {
		return Outbound{}, Rendition{}, translated(err, err)
	}
	stream := func(a translate.Answer) translator { return translate.NewChatStream(a, r.IncludeUsage) }
	read := &messagesAnswer{heard: heard{text: t}}
	return d.outbound(OpMessages, r.Stream, body), newTranslation(read, chatProtocol, stream, translate.MessagesAnswerToChat), nil
}

// sendChat sends a request of Anthropic's messages to a provider of OpenAI's protocol.
func (r *messagesRequest) sendChat(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	var edits []edit
	if at := r.at[messagesCache]; at.present() {
		edits = append(edits, without(r.body, at))
	}
	body, err := translate.MessagesToChat(appendEdited(nil, r.body, edits), translate.Out{
		Model: d.Model, MaxTokens: maxOutput, LengthField: d.Provider.lengthField(""),
	})
	if err != nil {
		return Outbound{}, Rendition{}, translated(err, err)
	}
	// A stream's first event tells the prompt's tokens, which the provider tells at the end:
	// they are counted while it thinks.
	prompt := make(chan int64, 1)
	if r.Stream {
		go func() { prompt <- r.promptEstimate(t.counter, &Model{ImageTokens: imageTokens}) }()
	}
	stream := func(a translate.Answer) translator {
		a.Final.Usage = &translate.Usage{Prompt: <-prompt}
		return translate.NewMessagesStream(a)
	}
	read := &chatAnswer{heard: heard{text: t}, model: r.Model}
	return d.outbound(OpChat, r.Stream, d.Provider.unkept(body)), newTranslation(read, messagesProtocol, stream, translate.ChatAnswerToMessages), nil
}
