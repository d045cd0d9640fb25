package llm

// ChatCall asks for one answer on behalf of an account, without an API key.
type ChatCall struct {
	AccountID  int64
	HoldID     string // names the call: the same id never pays twice for one answer
	LimitScope string // with LimitID, whose request limit counts
	LimitID    string
	Model      string
	Messages   []Message
	MaxOutput  int64 // tokens; 0: what the model allows or the account affords
}

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
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
