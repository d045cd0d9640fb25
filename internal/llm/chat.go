package llm

import "encoding/json"

// ChatCall asks for one answer on behalf of an account, without an API key that somebody
// presents.
type ChatCall struct {
	AccountID  int64
	KeyID      int64  // a group's key of the account, whose limits and budget count then; 0: none
	HoldID     string // names the call: the same id never pays twice for one answer
	LimitScope string // with LimitID, whose request limit counts
	LimitID    string
	Model      string
	Messages   []Message
	MaxOutput  int64 // tokens; 0: what the model allows or the account affords
}

// Message is one turn of a conversation.
type Message struct {
	Role    string // system, user or assistant
	Content string // what it says, where it is words alone
	Parts   []Part // what it says otherwise, in place of Content
}

// Part is a part of a message: one of its fields.
type Part struct {
	Text  string
	Image string // a picture as a data URL
}

// MarshalJSON writes the message as OpenAI's chat completions take it: the content is a
// string, unless there are parts.
func (m Message) MarshalJSON() ([]byte, error) {
	if len(m.Parts) == 0 {
		return json.Marshal(struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}{m.Role, m.Content})
	}
	type address struct {
		URL string `json:"url"`
	}
	type part struct {
		Type  string   `json:"type"`
		Text  string   `json:"text,omitempty"`
		Image *address `json:"image_url,omitempty"`
	}
	parts := make([]part, len(m.Parts))
	for i, p := range m.Parts {
		if p.Image != "" {
			parts[i] = part{Type: "image_url", Image: &address{p.Image}}
		} else {
			parts[i] = part{Type: "text", Text: p.Text}
		}
	}
	return json.Marshal(struct {
		Role    string `json:"role"`
		Content []part `json:"content"`
	}{m.Role, parts})
}

// HearCall asks on behalf of an account, without an API key, for what a sound file says.
type HearCall struct {
	AccountID  int64
	KeyID      int64  // as of a ChatCall
	HoldID     string // as of a ChatCall
	LimitScope string
	LimitID    string
	Model      string
	Sound      []byte
	Name       string // of the file; how it ends may matter
}

// Heard is what a HearCall brought.
type Heard struct {
	Text          string
	CostNano      int64 // nano-USD, captured
	AvailableNano int64 // nano-USD left afterwards
}

// ChatAnswer is what a ChatCall brought. Where the call failed half-way it holds
// what had arrived and what that cost.
type ChatAnswer struct {
	Text          string
	CostNano      int64 // nano-USD, captured
	AvailableNano int64 // nano-USD left afterwards
	Prompt        int64 // tokens
	Completion    int64 // tokens
	Estimated     bool  // tokens counted by us, the provider did not say
	Finish        string
}
