package talk

import "github.com/kikuai/kikuai/internal/llm"

const (
	// contextMost bounds what of a conversation goes with a question, in tokens: more
	// costs more with each answer, and is summed up in time.
	contextMost    = 16_000
	contextUnknown = 4_000 // of a model that does not say how much it takes
	// summaryAt is when older turns are summed up, and summaryLeaves what then stays as it
	// was, in tokens.
	summaryAt     = contextMost * 3 / 4
	summaryLeaves = contextMost / 4
	leavesLeast   = 2 // turns
)

// tokensAbout estimates a text's tokens without a vocabulary, from above for most.
func tokensAbout(text string) int {
	narrow, wide := 0, 0
	for _, r := range text {
		if r < 0x80 {
			narrow++
		} else {
			wide++
		}
	}
	return (narrow+3)/4 + (wide*2+2)/3
}

// messages are what the model is given: the persona and the summary, as much of the
// conversation as room has, and the question. room is in tokens.
func (t *turn) messages(room int) []llm.Message {
	k, persona := t.before, t.persona()
	system := persona
	if summary := k.summary; summary != "" {
		if system != "" {
			system += "\n\n"
		}
		system += summaryIntro + summary
	}
	room -= tokensAbout(system) + tokensAbout(t.asks.kept)
	first := len(k.exchanges)
	for first > 0 {
		if room -= k.exchanges[first-1].tokens(); room < 0 {
			break
		}
		first--
	}
	messages := make([]llm.Message, 0, 2*(len(k.exchanges)-first)+2)
	if system != "" {
		messages = append(messages, llm.Message{Role: "system", Content: system})
	}
	for _, e := range k.exchanges[first:] {
		if e.Answer != "" {
			messages = append(messages, llm.Message{Role: "user", Content: e.Question}, llm.Message{Role: "assistant", Content: e.Answer})
		}
	}
	return append(messages, t.asks.message)
}

// room is how many tokens of prompt a model has for a turn beside the longest answer.
func (r *Room) room(model string) int {
	if r.Catalogue == nil {
		return contextMost
	}
	m, err := r.Catalogue.Model(model)
	if err != nil || m.Context <= 0 {
		return contextUnknown
	}
	return int(min(contextMost, max(0, m.Context-r.MaxOutput-contextReserve)))
}

// contextReserve is what a model's own template and our estimate may take, in tokens.
const contextReserve = 512
