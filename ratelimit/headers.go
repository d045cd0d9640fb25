package ratelimit

import (
	"strconv"
	"time"
)

// mostInteger is the largest integer that a structured header field holds.
const mostInteger = 999_999_999_999_999

// Header is one HTTP header of a decision.
type Header struct{ Name, Value string }

// Headers describes the decision in the two dialects that clients read: the IETF
// draft "RateLimit header fields for HTTP", with every limit, and the x-ratelimit-*
// of OpenAI's clients, with the tightest window of requests and of tokens. A limit
// is named by what it counts, with its scope before it unless that is the key. There
// are none where nothing limits.
func (d *Decision) Headers() []Header {
	if len(d.Results) == 0 {
		return nil
	}
	headers := make([]Header, 2, 8)
	room := make([]byte, 0, 96*len(d.Results))
	for i := range d.Results {
		room = appendPolicy(room, &d.Results[i], i > 0)
	}
	middle := len(room)
	for i := range d.Results {
		room = appendState(room, &d.Results[i], i > 0)
	}
	both := string(room)
	headers[0] = Header{"RateLimit-Policy", both[:middle]}
	headers[1] = Header{"RateLimit", both[middle:]}
	if r := d.tightest(NameRequests); r != nil {
		headers = append(headers,
			Header{"X-Ratelimit-Limit-Requests", strconv.FormatInt(r.Max, 10)},
			Header{"X-Ratelimit-Remaining-Requests", strconv.FormatInt(r.Remaining, 10)},
			Header{"X-Ratelimit-Reset-Requests", r.Reset.Round(time.Millisecond).String()})
	}
	if r := d.tightest(NameTokens); r != nil {
		headers = append(headers,
			Header{"X-Ratelimit-Limit-Tokens", strconv.FormatInt(r.Max, 10)},
			Header{"X-Ratelimit-Remaining-Tokens", strconv.FormatInt(r.Remaining, 10)},
			Header{"X-Ratelimit-Reset-Tokens", r.Reset.Round(time.Millisecond).String()})
	}
	return headers
}

// AnthropicHeaders are the same numbers as Anthropic's clients read them. A moment is the
// one at which all is whole again, in UTC.
func (d *Decision) AnthropicHeaders(now time.Time) []Header {
	headers := make([]Header, 0, 6)
	for _, kind := range []struct{ name, of string }{{"Anthropic-Ratelimit-Requests-", NameRequests}, {"Anthropic-Ratelimit-Tokens-", NameTokens}} {
		r := d.tightest(kind.of)
		if r == nil {
			continue
		}
		headers = append(headers,
			Header{kind.name + "Limit", strconv.FormatInt(r.Max, 10)},
			Header{kind.name + "Remaining", strconv.FormatInt(r.Remaining, 10)},
			Header{kind.name + "Reset", now.Add(r.Reset + time.Second - 1).UTC().Format(time.RFC3339)}) // never too early
	}
	return headers
}

// tightest returns the window of that name with the least remaining, of several the
// one that takes longest to reset, or nil.
func (d *Decision) tightest(name string) *Result {
	var least *Result
	for i := range d.Results {
		r := &d.Results[i]
		if r.Kind != Window || r.Name != name {
			continue
		}
		if least == nil || r.Remaining < least.Remaining || r.Remaining == least.Remaining && r.Reset > least.Reset {
			least = r
		}
	}
	return least
}

// appendPolicy appends such as "account-tokens";q=90000;w=60;qu="tokens".
func appendPolicy(b []byte, r *Result, more bool) []byte {
	b = appendName(b, r, more)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, min(r.Max, mostInteger), 10)
	if r.Span > 0 {
		b = append(b, ";w="...)
		b = strconv.AppendInt(b, seconds(r.Span), 10)
	}
	switch {
	case r.Kind == Concurrency:
		b = append(b, `;qu="concurrent-requests"`...)
	case r.Name == NameTokens:
		b = append(b, `;qu="tokens"`...)
	}
	return b
}

// appendState appends such as "account-tokens";r=88000;t=60.
func appendState(b []byte, r *Result, more bool) []byte {
	b = appendName(b, r, more)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, min(r.Remaining, mostInteger), 10)
	if r.Kind != Concurrency || r.Reset > 0 {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, seconds(r.Reset), 10)
	}
	return b
}

// appendName appends the limit's name as a structured string. A byte that has no
// place in one becomes '_'.
func appendName(b []byte, r *Result, more bool) []byte {
	if more {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	if r.Scope != ScopeKey && r.Scope != "" {
		b = append(appendPlain(b, r.Scope), '-')
	}
	return append(appendPlain(b, r.Name), '"')
}

func appendPlain(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = append(b, '_')
		} else {
			b = append(b, c)
		}
	}
	return b
}
