package billing

// Usage is what a call consumed. Prompt and Completion are all tokens in and out.
// The other counts of tokens are parts of one of the two and disjoint: a token is
// counted in one of them at most, and a token in none is plain text.
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

const (
	maxTokens     = 1 << 40 // of one call; what a provider claims beyond it is not believed
	maxImages     = 1 << 20
	maxAudioMS    = 1 << 40
	maxCharacters = 1 << 40
)

// Clamped makes sense of any usage: negatives become zero, no count exceeds its
// bound (2^40; 2^20 pictures), and the parts never exceed their whole. Where they
// would, what is written first in Usage stays.
func (u Usage) Clamped() Usage {
	u.Prompt = clamp(u.Prompt, maxTokens)
	divide(u.Prompt, &u.Cached, &u.CachedInputAudio, &u.CacheWrite, &u.CacheWrite1h, &u.InputAudio, &u.InputImage)
	u.Completion = clamp(u.Completion, maxTokens)
	divide(u.Completion, &u.Reasoning, &u.OutputAudio, &u.OutputImage)
	u.Images = clamp(u.Images, maxImages)
	u.AudioMS = clamp(u.AudioMS, maxAudioMS)
	u.Characters = clamp(u.Characters, maxCharacters)
	return u
}

// divide keeps the parts within their whole.
func divide(whole int64, parts ...*int64) {
	for _, part := range parts {
		*part = clamp(*part, whole)
		whole -= *part
	}
}

// kind is a kind of token that may have a price of its own.
type kind int

const (
	input kind = iota
	cachedInput
	cachedInputAudio
	cacheWrite
	cacheWrite1h
	inputAudio
	inputImage
	output // what comes before is of the prompt
	reasoning
	outputAudio
	outputImage
	kinds
)

// Kinds is a set of kinds of tokens.
type Kinds uint16

// Kinds of tokens that a request may be known not to have.
const (
	AudioIn   Kinds = 1<<inputAudio | 1<<cachedInputAudio
	ImageIn   Kinds = 1 << inputImage
	HourWrite Kinds = 1 << cacheWrite1h // to the provider's cache
	AudioOut  Kinds = 1 << outputAudio
	ImageOut  Kinds = 1 << outputImage
)

func (s Kinds) has(k kind) bool { return s>>k&1 != 0 }

// usageCounts is how many numbers a usage is.
const usageCounts = 14

// counts are all numbers of a usage, in the order in which they are written above.
func (u *Usage) counts() [usageCounts]int64 {
	return [usageCounts]int64{
		u.Prompt, u.Cached, u.CachedInputAudio, u.CacheWrite, u.CacheWrite1h, u.InputAudio, u.InputImage,
		u.Completion, u.Reasoning, u.OutputAudio, u.OutputImage, u.Images, u.AudioMS, u.Characters,
	}
}

// tokens are the counts of a clamped usage by kind.
func (u *Usage) tokens() [kinds]int64 {
	return [kinds]int64{
		input:       u.Prompt - u.Cached - u.CachedInputAudio - u.CacheWrite - u.CacheWrite1h - u.InputAudio - u.InputImage,
		cachedInput: u.Cached, cachedInputAudio: u.CachedInputAudio,
		cacheWrite: u.CacheWrite, cacheWrite1h: u.CacheWrite1h,
		inputAudio: u.InputAudio, inputImage: u.InputImage,
		output:    u.Completion - u.Reasoning - u.OutputAudio - u.OutputImage,
		reasoning: u.Reasoning, outputAudio: u.OutputAudio, outputImage: u.OutputImage,
	}
}

func clamp(n, most int64) int64 { return max(0, min(n, most)) }
