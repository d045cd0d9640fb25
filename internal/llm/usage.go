package llm

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Usage is what a call consumed, in tokens. Cached and CacheWrite are parts of
// Prompt, Reasoning is a part of Completion.
type Usage struct {
	Prompt, Cached, CacheWrite, Completion, Reasoning int64
}

// Kinds of faults in a provider's usage.
const (
	UsageAbsent   = "absent"   // no number at all
	UsageType     = "type"     // not an integer, such as a string
	UsageNegative = "negative" // below zero
	UsageHuge     = "huge"     // more than the call can have used
	UsageParts    = "parts"    // a part exceeds its whole
)

// Reported is a usage as the provider told it, as far as it can be believed.
type Reported struct {
	Usage
	PromptKnown, CompletionKnown bool   // what is not known has to be counted
	Fault                        string // the gravest fault found; "": none
}

// Known says that nothing has to be counted.
func (r Reported) Known() bool { return r.PromptKnown && r.CompletionKnown }

// ReadUsage reads a usage object. A count above the given mosts, in tokens, is
// not believed; neither is one that is negative or no integer.
func ReadUsage(usage gjson.Result, mostPrompt, mostCompletion int64) Reported {
	if !usage.IsObject() {
		return Reported{Fault: UsageAbsent}
	}
	var r Reported
	note := func(fault string) {
		if r.Fault == "" {
			r.Fault = fault
		}
	}
	whole := func(path string, most int64) (int64, bool) {
		n, fault := tokenCount(usage.Get(path), most)
		if fault != "" {
			note(fault)
		}
		return n, fault == ""
	}
	r.Prompt, r.PromptKnown = whole("prompt_tokens", mostPrompt)
	r.Completion, r.CompletionKnown = whole("completion_tokens", mostCompletion)
	part := func(path string, most int64) int64 {
		v := usage.Get(path)
		if v.Type == gjson.Null {
			return 0
		}
		n, fault := tokenCount(v, most)
		if fault == UsageHuge {
			n, fault = most, UsageParts
		}
		if fault != "" {
			note(fault)
		}
		return n
	}
	if r.PromptKnown {
		r.Cached = part("prompt_tokens_details.cached_tokens", r.Prompt)
		r.CacheWrite = part("prompt_tokens_details.cache_write_tokens", r.Prompt-r.Cached)
	}
	if r.CompletionKnown {
		r.Reasoning = part("completion_tokens_details.reasoning_tokens", r.Completion)
	}
	return r
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
