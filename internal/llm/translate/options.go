package translate

// Out says what a translated request is to hold beyond what the client said.
type Out struct {
	// Model is the model's name at the provider; "": as the client named it.
	Model string
	// MaxTokens is the most an answer may take, in tokens; it replaces what the
	// client stated. 0: what the client stated, which Messages requires.
	MaxTokens int64
	// LengthField is the field of a chat request that takes MaxTokens:
	// "max_completion_tokens", or "max_tokens" (also "").
	LengthField string
	// Thinking is how the model is asked to think, where it is asked in Messages.
	Thinking Thinking
}

// Usage is what a call consumed, in tokens, as the chat protocol counts: Cached,
// CacheWrite and CacheWrite1h are parts of Prompt (the 1-hour writes are not in
// CacheWrite), Reasoning is a part of Completion.
type Usage struct {
	Prompt, Cached, CacheWrite, CacheWrite1h, Completion, Reasoning int64
}

// Final is what is known of a call once it is settled.
type Final struct {
	// Usage replaces what the provider told; nil: the provider's own is translated.
	Usage *Usage
	// Cost is the price as a decimal of USD, written as usage.cost; "": left out.
	Cost string
	// Estimated marks the usage as counted here.
	Estimated bool
}

// Answer is what a translated answer is to hold beyond what the provider said.
type Answer struct {
	// ID stands in where the provider gave none.
	ID string
	// Model is the name the client is to see; "": the provider's.
	Model string
	// Created is when the answer began, in seconds since 1970, where the provider
	// does not say.
	Created int64
	// Request is the client's request, which a response of Responses repeats in part.
	Request []byte
	Final   Final
}
