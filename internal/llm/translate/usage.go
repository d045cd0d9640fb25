package translate

import (
	"math"
	"strconv"

	"github.com/tidwall/gjson"
)

// tokens reads a count of tokens; what is negative or no number counts as 0.
func tokens(v gjson.Result) int64 {
	if v.Type != gjson.Number || !(v.Num > 0) {
		return 0
	}
	if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
		return n
	}
	if v.Num >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v.Num)
}

// sum adds counts that are not negative, and stops at the greatest there is.
func sum(counts ...int64) int64 {
	total := int64(0)
	for _, n := range counts {
		if n > math.MaxInt64-total {
			return math.MaxInt64
		}
		total += n
	}
	return total
}

// sane makes every part at most its whole, and nothing negative.
func (u Usage) sane() Usage {
	u.Prompt, u.Completion = max(0, u.Prompt), max(0, u.Completion)
	rest := u.Prompt
	for _, part := range []*int64{&u.Cached, &u.CacheWrite, &u.CacheWrite1h} {
		*part = min(max(0, *part), rest)
		rest -= *part
	}
	u.Reasoning = min(max(0, u.Reasoning), u.Completion)
	return u
}

// readChatUsage reads a chat completion's usage. Its prompt includes what was cached.
func readChatUsage(v gjson.Result) Usage {
	return Usage{
		Prompt:     tokens(v.Get("prompt_tokens")),
		Cached:     tokens(v.Get("prompt_tokens_details.cached_tokens")),
		CacheWrite: tokens(v.Get("prompt_tokens_details.cache_write_tokens")),
		Completion: tokens(v.Get("completion_tokens")),
		Reasoning:  tokens(v.Get("completion_tokens_details.reasoning_tokens")),
	}.sane()
}

// messagesUsage gathers usage as Messages tells it: in a stream piece by piece, a later
// number in place of an earlier one.
type messagesUsage struct {
	input, read, written, written1h, output, thinking int64
	any                                               bool
}

func (u *messagesUsage) add(v gjson.Result) {
	if !v.IsObject() {
		return
	}
	for _, f := range []struct {
		path string
		n    *int64
	}{
		{"input_tokens", &u.input}, {"cache_read_input_tokens", &u.read}, {"cache_creation_input_tokens", &u.written},
		{"cache_creation.ephemeral_1h_input_tokens", &u.written1h}, {"output_tokens", &u.output},
		{"output_tokens_details.thinking_tokens", &u.thinking},
	} {
		if n := v.Get(f.path); n.Type == gjson.Number {
			*f.n, u.any = tokens(n), true
		}
	}
}

// usage counts as the chat protocol does: input_tokens leave out what was cached.
func (u *messagesUsage) usage() Usage {
	hour := min(u.written1h, u.written)
	return Usage{
		Prompt: sum(u.input, u.read, u.written), Cached: u.read,
		CacheWrite: u.written - hour, CacheWrite1h: hour,
		Completion: u.output, Reasoning: u.thinking,
	}.sane()
}

// settled is the usage to tell: the caller's, where it has one.
func (f *Final) settled(own Usage) Usage {
	if f.Usage != nil {
		return f.Usage.sane()
	}
	return own
}

// end closes a usage object, with what the gateway adds to every protocol's.
func (f *Final) end(w *writer) {
	if f.Cost != "" {
		w.rawField("cost", f.Cost)
	}
	if f.Estimated {
		w.rawField("estimated", "true")
	}
	w.close('}')
}

func writeChatUsage(w *writer, own Usage, f *Final) {
	u := f.settled(own)
	w.key("usage")
	w.open('{')
	w.intField("prompt_tokens", u.Prompt)
	w.intField("completion_tokens", u.Completion)
	w.intField("total_tokens", sum(u.Prompt, u.Completion))
	w.key("prompt_tokens_details")
	w.open('{')
	w.intField("cached_tokens", u.Cached)
	if written := u.CacheWrite + u.CacheWrite1h; written > 0 {
		w.intField("cache_write_tokens", written)
	}
	w.close('}')
	w.key("completion_tokens_details")
	w.open('{')
	w.intField("reasoning_tokens", u.Reasoning)
	w.close('}')
	f.end(w)
}

// writeMessagesUsage writes an answer's usage, or, in a stream's end, its cumulative one.
func writeMessagesUsage(w *writer, own Usage, f *Final, whole bool) {
	u := f.settled(own)
	written := u.CacheWrite + u.CacheWrite1h
	w.key("usage")
	w.open('{')
	w.intField("input_tokens", u.Prompt-u.Cached-written)
	w.intField("cache_creation_input_tokens", written)
	w.intField("cache_read_input_tokens", u.Cached)
	if whole {
		w.key("cache_creation")
		w.open('{')
		w.intField("ephemeral_5m_input_tokens", u.CacheWrite)
		w.intField("ephemeral_1h_input_tokens", u.CacheWrite1h)
		w.close('}')
	}
	w.intField("output_tokens", u.Completion)
	w.key("output_tokens_details")
	w.open('{')
	w.intField("thinking_tokens", u.Reasoning)
	w.close('}')
	w.rawField("server_tool_use", "null")
	if whole {
		for _, unknown := range []string{"service_tier", "inference_geo", "speed"} {
			w.rawField(unknown, "null")
		}
	}
	f.end(w)
}
