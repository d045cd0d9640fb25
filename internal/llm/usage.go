package llm

import (
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

// Usage is what a call consumed. The counts of tokens beside Prompt and Completion
// are parts of one of the two, and disjoint: what is in none of them is plain text.
// Its fields are those of billing.Usage, so that one converts to the other.
type Usage struct {
	Prompt           int64
	Cached           int64 // of Prompt: read from the provider's cache, not as audio
	CachedInputAudio int64 // of Prompt: audio read from the provider's cache
	CacheWrite       int64 // of Prompt: written to the provider's cache, for minutes
	CacheWrite1h     int64 // of Prompt: written to it for an hour
	InputAudio       int64 // of Prompt: audio, neither read from nor written to the cache
	InputImage       int64 // of Prompt: images, likewise

	Completion  int64
	Reasoning   int64 // of Completion
	OutputAudio int64 // of Completion
	OutputImage int64 // of Completion

	Images     int64 // pictures made
	AudioMS    int64 // milliseconds of audio heard or made
	Characters int64 // of text spoken

	Estimated bool // counted by us, not told by the provider
}

// Kinds of faults in a provider's usage.
const (
	UsageAbsent   = "absent"   // no number at all
	UsageType     = "type"     // not an integer, such as a string
	UsageNegative = "negative" // below zero
	UsageHuge     = "huge"     // more than the call can have used
	UsageParts    = "parts"    // a part exceeds its whole
)

// mostSeconds is the longest audio that a provider is believed to have heard.
const mostSeconds = 7 * 24 * 3600

// Reported is a usage as the provider told it, as far as it can be believed.
type Reported struct {
	Usage
	PromptKnown, CompletionKnown bool   // what is not known has to be counted
	UnitsCounted                 bool   // what is not tokens was measured here
	Fault                        string // the gravest fault found; "": none
}

// Known says that nothing has to be counted.
func (r Reported) Known() bool { return r.PromptKnown && r.CompletionKnown }

// ofWords is the usage of a call that has a prompt of words: one of no tokens was not told.
func (r Reported) ofWords() Reported {
	if r.PromptKnown && r.Prompt == 0 {
		r.PromptKnown = false
		r.note(UsageAbsent)
	}
	return r
}

// ReadUsage reads a usage object, whichever of these it is:
//
//   - of chat completions and embeddings: prompt_tokens and completion_tokens, with
//     details. Where total_tokens exceeds the two, the rest is reasoning that a
//     provider counts beside its completion (xAI, Gemini);
//   - of responses, images and transcriptions: input_tokens and output_tokens, with
//     details;
//   - Anthropic's: input_tokens leave out what was read from the cache or written to
//     it, which is added;
//   - of transcriptions by duration: seconds.
//
// A count above the given mosts, in tokens, is not believed; neither is one that is
// negative or no integer. A call that can have no completion (mostCompletion 0) need
// not be told of any.
func ReadUsage(usage gjson.Result, mostPrompt, mostCompletion int64) Reported {
	if !usage.IsObject() {
		return Reported{Fault: UsageAbsent}
	}
	told := tellUsage(usage)
	var r Reported
	if told.seconds.Exists() && !told.prompt.Exists() && !told.input.Exists() {
		r.readSeconds(told.seconds)
		return r
	}
	r.readPrompt(&told, mostPrompt)
	if told.completion.Exists() || mostCompletion > 0 {
		r.Completion, r.CompletionKnown = r.whole(told.completion, mostCompletion)
	} else {
		r.CompletionKnown = true
	}
	if r.CompletionKnown {
		r.readCompletion(&told, mostCompletion)
	}
	return r
}

// MergeUsage is the usage that two events of a stream tell together: all of the
// last one, and of the first what the last leaves out or makes null. Anthropic's
// message_start and message_delta are such events.
func MergeUsage(first, last gjson.Result) gjson.Result {
	if !first.IsObject() {
		return last
	}
	if !last.IsObject() {
		return first
	}
	merged := make([]byte, 0, len(first.Raw)+len(last.Raw))
	merged = append(merged, '{')
	add := func(key, value gjson.Result) {
		if len(merged) > 1 {
			merged = append(merged, ',')
		}
		merged = append(merged, key.Raw...)
		merged = append(merged, ':')
		merged = append(merged, value.Raw...)
	}
	told := map[string]bool{}
	last.ForEach(func(key, value gjson.Result) bool {
		if value.Type != gjson.Null {
			told[key.Str] = true
			add(key, value)
		}
		return true
	})
	first.ForEach(func(key, value gjson.Result) bool {
		if !told[key.Str] {
			add(key, value)
		}
		return true
	})
	return gjson.ParseBytes(append(merged, '}'))
}

// toldUsage are the fields of a usage object, whichever protocol's.
type toldUsage struct {
	prompt, input, completion, total, seconds gjson.Result
	cacheHit                                  gjson.Result // DeepSeek's
	cacheRead, cacheWritten, cacheCreation    gjson.Result // Anthropic's
	in                                        bool         // the prompt has details
	cached, cacheWrite, audioIn, imageIn      gjson.Result
	cachedDetails                             gjson.Result
	reasoning, audioOut, imageOut             gjson.Result
}

func tellUsage(usage gjson.Result) (t toldUsage) {
	usage.ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.Null {
			return true
		}
		switch key.Str {
		case "prompt_tokens":
			t.prompt = value
		case "input_tokens":
			t.input = value
		case "completion_tokens", "output_tokens":
			t.completion = value
		case "total_tokens":
			t.total = value
		case "seconds":
			t.seconds = value
		case "prompt_tokens_details", "input_tokens_details", "input_token_details":
			t.tellPrompt(value)
		case "completion_tokens_details", "output_tokens_details", "output_token_details":
			t.tellCompletion(value)
		case "prompt_cache_hit_tokens":
			t.cacheHit = value
		case "cache_read_input_tokens":
			t.cacheRead = value
		case "cache_creation_input_tokens":
			t.cacheWritten = value
		case "cache_creation":
			t.cacheCreation = value
		}
		return true
	})
	return t
}

func (t *toldUsage) tellPrompt(details gjson.Result) {
	t.in = true
	details.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "cached_tokens":
			t.cached = value
		case "cached_tokens_details":
			t.cachedDetails = value
		case "cache_write_tokens":
			t.cacheWrite = value
		case "audio_tokens":
			t.audioIn = value
		case "image_tokens":
			t.imageIn = value
		}
		return true
	})
}

func (t *toldUsage) tellCompletion(details gjson.Result) {
	details.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "reasoning_tokens", "thinking_tokens":
			t.reasoning = value
		case "audio_tokens":
			t.audioOut = value
		case "image_tokens":
			t.imageOut = value
		}
		return true
	})
}

func (r *Reported) note(fault string) {
	if r.Fault == "" {
		r.Fault = fault
	}
}

// whole reads a count that must be there.
func (r *Reported) whole(v gjson.Result, most int64) (int64, bool) {
	n, fault := tokenCount(v, most)
	if fault != "" {
		r.note(fault)
	}
	return n, fault == ""
}

// part reads a count that may be absent and is at most what is left of its whole.
func (r *Reported) part(v gjson.Result, most int64) int64 {
	if v.Type == gjson.Null {
		return 0
	}
	n, fault := tokenCount(v, most)
	if fault == UsageHuge {
		n, fault = most, UsageParts
	}
	if fault != "" {
		r.note(fault)
	}
	return n
}

func (r *Reported) readPrompt(t *toldUsage, most int64) {
	if !t.prompt.Exists() && !t.in && (t.cacheRead.Exists() || t.cacheWritten.Exists() || t.cacheCreation.Exists()) {
		r.readAnthropicPrompt(t, most)
		return
	}
	prompt := t.prompt
	if !prompt.Exists() {
		prompt = t.input
	}
	r.Prompt, r.PromptKnown = r.whole(prompt, most)
	if !r.PromptKnown {
		return
	}
	cached := t.cached
	if !cached.Exists() {
		cached = t.cacheHit
	}
	if !cached.Exists() {
		cached = t.cacheRead
	}
	audio := r.part(t.audioIn, r.Prompt)
	image := r.part(t.imageIn, r.Prompt)
	read := r.part(cached, r.Prompt)
	// What of the cache was audio or an image is told, or can be no less than what
	// would not find room beside it.
	of := t.cachedDetails
	r.CachedInputAudio = max(r.part(of.Get("audio_tokens"), min(audio, read)), audio+read-r.Prompt)
	r.InputAudio = audio - r.CachedInputAudio
	r.Cached = read - r.CachedInputAudio
	left := r.Prompt - r.Cached - r.CachedInputAudio - r.InputAudio
	r.CacheWrite = r.part(t.cacheWrite, left)
	r.InputImage = min(image-r.part(of.Get("image_tokens"), min(image, r.Cached)), left-r.CacheWrite)
}

// readAnthropicPrompt adds up what Anthropic tells apart. Nothing of it is believed
// where one of the numbers cannot be.
func (r *Reported) readAnthropicPrompt(t *toldUsage, most int64) {
	fresh, known := r.whole(t.input, most)
	count := func(v gjson.Result) int64 {
		if v.Type == gjson.Null || !known {
			return 0
		}
		var n int64
		n, known = r.whole(v, most-fresh-r.Prompt)
		r.Prompt += n
		return n
	}
	read := count(t.cacheRead)
	hour := t.cacheCreation.Get("ephemeral_1h_input_tokens")
	var write, writeHour int64
	if t.cacheWritten.Exists() {
		write = count(t.cacheWritten)
		writeHour = r.part(hour, write)
		write -= writeHour
	} else {
		write, writeHour = count(t.cacheCreation.Get("ephemeral_5m_input_tokens")), count(hour)
	}
	if !known {
		r.Prompt = 0
		return
	}
	r.Prompt += fresh
	r.Cached, r.CacheWrite, r.CacheWrite1h, r.PromptKnown = read, write, writeHour, true
}

func (r *Reported) readCompletion(t *toldUsage, most int64) {
	hidden := int64(0)
	if total, fault := tokenCount(t.total, math.MaxInt64); fault == "" && r.PromptKnown && t.prompt.Exists() {
		hidden = min(max(0, total-r.Prompt-r.Completion), most-r.Completion)
	}
	r.Completion += hidden
	r.Reasoning = max(r.part(t.reasoning, r.Completion), hidden)
	r.OutputAudio = r.part(t.audioOut, r.Completion-r.Reasoning)
	r.OutputImage = r.part(t.imageOut, r.Completion-r.Reasoning-r.OutputAudio)
}

// readSeconds reads the length of audio, rounded up to a millisecond.
func (r *Reported) readSeconds(v gjson.Result) {
	switch {
	case v.Type != gjson.Number:
		r.note(UsageType)
	case v.Num < 0:
		r.note(UsageNegative)
	case !(v.Num <= mostSeconds):
		r.note(UsageHuge)
	default:
		r.AudioMS = int64(math.Ceil(v.Num * 1000))
		r.PromptKnown, r.CompletionKnown = true, true
	}
}

// tokenCount reads one count; with a fault the number is 0.
func tokenCount(v gjson.Result, most int64) (int64, string) {
	switch v.Type {
	case gjson.Null:
		return 0, UsageAbsent
	case gjson.Number:
	default:
		return 0, UsageType
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if err != nil { // 12.0, 1e3, or beyond 63 bits
		switch {
		case v.Num < 0:
			return 0, UsageNegative
		case v.Num > float64(most):
			return 0, UsageHuge
		case v.Num != float64(int64(v.Num)):
			return 0, UsageType
		}
		n = int64(v.Num)
	}
	switch {
	case n < 0:
		return 0, UsageNegative
	case n > most:
		return 0, UsageHuge
	}
	return n, ""
}
