package llmsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Ending says how an answer comes to its end.
type Ending int

// The endings of an answer. All but EndDone happen after Script.After tokens.
const (
	EndDone   Ending = iota // complete, as it should be
	EndStall                // silence with the connection open, until the client leaves
	EndCut                  // the connection is dropped in the middle of a chunk
	EndError                // an error event inside the stream, then the end
	EndNoDone               // the body ends in good order but without what completes an answer
	EndReset                // the connection is reset (RST) in the middle of a chunk
	EndBroken               // half an event, framed like a whole one, then the end; or half a whole body
)

// What Script.Usage may hold besides raw JSON. The other protocols send their own
// counterparts of these.
const (
	UsageNone     = "none" // no usage at all, even when it was asked for
	UsageNegative = `{"prompt_tokens":-12,"completion_tokens":-7,"total_tokens":-19,"prompt_tokens_details":{"cached_tokens":-3}}`
	UsageHuge     = `{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807,"total_tokens":9223372036854775807}`
	UsageString   = `{"prompt_tokens":"12","completion_tokens":"7","total_tokens":"19"}`
	UsageNull     = `null`
)

// Script says how one request is answered. The zero Script is a prompt, honest
// and complete default answer.
type Script struct {
	Headers    time.Duration // wait before the status line
	FirstToken time.Duration // further wait before the first token
	Cadence    time.Duration // wait between tokens

	Text    string // the answer; "" for the default one
	Tokens  int    // an answer of exactly so many tokens in place of Text; below 0 for none at all
	Calls   []Call // of tools, in place of what the model would decide; nil leaves it the choice
	Refusal string // what is said in place of an answer, marked as a refusal

	// Reasoning is how many tokens the model thinks. They are added to the usage,
	// and shown where the protocol shows them: to an Anthropic client that enabled
	// thinking, and with Reveal as a chat's reasoning_content.
	Reasoning int
	Reveal    bool

	// Status and Body replace the answer: an error, or with Status 200 whatever
	// a broken provider might send. Body "" is the protocol's error body for Status.
	// The content type is JSON unless Header says otherwise.
	Status int
	Body   string
	Header http.Header

	End   Ending
	After int // tokens sent before End takes place

	Usage      string // raw JSON in place of the honest usage, or UsageNone
	IgnoreMax  bool   // run past the limit
	Split      bool   // send every event in two writes, torn inside its JSON
	SplitRunes bool   // tear it inside every character of more than one byte
	CRLF       bool   // end lines as Windows does
	Comments   bool   // a ": ping" comment before every event
	Bare       bool   // leave out id, created and system_fingerprint, as some clones do
}

// Call is one use of a tool; Arguments are JSON.
type Call struct{ Name, Arguments string }

const (
	slowHeaders    = time.Second
	slowFirstToken = time.Second
	slowCadence    = 250 * time.Millisecond
	faultAfter     = 5 // tokens before a named fault strikes
	retryAfter     = "2"
	maxTokens      = 200_000 // the longest scripted answer
)

const refusal = "I would rather not say, as my name asks of me."

const htmlPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n" +
	"<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n"

// ScriptFor returns the script that a model's name stands for, and whether it
// stands for one:
//
//	sim-instant       a precomputed answer, for load (see Server)
//	sim-fast          the default answer without any wait
//	sim-echo          the last message, word for word, without any wait
//	sim-tokens-N      N tokens without any wait
//	sim-slow          1 s to the headers, 1 s to the first token, 4 tokens/s
//	sim-hang          nothing at all, not even headers
//	sim-silent        headers, then silence
//	sim-stall         5 tokens, then silence
//	sim-cut           5 tokens, then the connection breaks inside a chunk
//	sim-cut-early     headers, then the connection breaks
//	sim-error-NNN     status NNN with an error body (400 to 599)
//	sim-429           status 429 with Retry-After
//	sim-error-200     status 200 with an error body
//	sim-overloaded    status 529, as Anthropic says that it is overloaded, with Retry-After
//	sim-error-stream  5 tokens, then an error event
//	sim-reset         5 tokens, then the connection is reset inside a chunk
//	sim-broken        5 tokens, then an event that is half a JSON object
//	sim-html          status 502 with an HTML body
//	sim-html-200      status 200 with an HTML body
//	sim-empty         an answer of no tokens
//	sim-no-done       a stream that ends without finish reason, usage and [DONE]
//	sim-no-usage      no usage, asked for or not
//	sim-usage-negative, sim-usage-huge, sim-usage-string, sim-usage-null
//	sim-ignores-max   runs past max_tokens
//	sim-reasoning     64 reasoning tokens in the usage
//	sim-reveals       64 reasoning tokens, shown to chats as reasoning_content
//	sim-refusal       a refusal in place of an answer
//	sim-torn          events torn over two writes, with comments between them
//	sim-torn-runes    events torn inside every character of more than one byte
//	sim-crlf          lines that end with CR LF, with comments between events
//	sim-unknown       status 404, as for a model that does not exist
func ScriptFor(model string) (Script, bool) {
	if s, ok := numbered(model); ok {
		return s, true
	}
	html := http.Header{"Content-Type": {"text/html"}}
	switch model {
	case "sim-fast":
		return Script{}, true
	case "sim-slow":
		return Script{Headers: slowHeaders, FirstToken: slowFirstToken, Cadence: slowCadence}, true
	case "sim-hang":
		return Script{Headers: forever}, true
	case "sim-silent":
		return Script{End: EndStall}, true
	case "sim-stall":
		return Script{End: EndStall, After: faultAfter}, true
	case "sim-cut":
		return Script{End: EndCut, After: faultAfter}, true
	case "sim-cut-early":
		return Script{End: EndCut}, true
	case "sim-429":
		return Script{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {retryAfter}}}, true
	case "sim-error-stream":
		return Script{End: EndError, After: faultAfter}, true
	case "sim-html":
		return Script{Status: http.StatusBadGateway, Body: htmlPage, Header: html}, true
	case "sim-html-200":
		return Script{Status: http.StatusOK, Body: htmlPage, Header: html}, true
	case "sim-empty":
		return Script{Tokens: -1}, true
	case "sim-no-done":
		return Script{End: EndNoDone, After: faultAfter}, true
	case "sim-no-usage":
		return Script{Usage: UsageNone}, true
	case "sim-usage-negative":
		return Script{Usage: UsageNegative}, true
	case "sim-usage-huge":
		return Script{Usage: UsageHuge}, true
	case "sim-usage-string":
		return Script{Usage: UsageString}, true
	case "sim-usage-null":
		return Script{Usage: UsageNull}, true
	case "sim-ignores-max":
		return Script{IgnoreMax: true}, true
	case "sim-reasoning":
		return Script{Reasoning: 64}, true
	case "sim-reveals":
		return Script{Reasoning: 64, Reveal: true}, true
	case "sim-refusal":
		return Script{Refusal: refusal}, true
	case "sim-overloaded":
		return Script{Status: statusOverloaded, Header: http.Header{"Retry-After": {"1"}}}, true
	case "sim-reset":
		return Script{End: EndReset, After: faultAfter}, true
	case "sim-broken":
		return Script{End: EndBroken, After: faultAfter}, true
	case "sim-torn-runes":
		return Script{SplitRunes: true}, true
	case "sim-crlf":
		return Script{CRLF: true, Comments: true}, true
	case "sim-torn":
		return Script{Split: true, Comments: true}, true
	case "sim-unknown":
		return Script{Status: http.StatusNotFound}, true
	}
	return Script{}, false
}

// numbered reads the names that end in a number.
func numbered(model string) (Script, bool) {
	if rest, ok := strings.CutPrefix(model, "sim-tokens-"); ok {
		if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= maxTokens {
			if n == 0 {
				n = -1
			}
			return Script{Tokens: n}, true
		}
	}
	if rest, ok := strings.CutPrefix(model, "sim-error-"); ok {
		if n, err := strconv.Atoi(rest); err == nil && (n == http.StatusOK || n >= 400 && n <= 599) {
			return Script{Status: n}, true
		}
	}
	return Script{}, false
}

// names are the models that GET /v1/models lists.
func names() []string {
	return []string{
		"sim", "sim-instant", "sim-fast", "sim-echo", "sim-slow", "sim-hang", "sim-silent", "sim-stall",
		"sim-cut", "sim-cut-early", "sim-error-500", "sim-429", "sim-error-200", "sim-error-stream",
		"sim-html", "sim-html-200", "sim-empty", "sim-no-done", "sim-no-usage", "sim-usage-negative",
		"sim-usage-huge", "sim-usage-string", "sim-usage-null", "sim-ignores-max", "sim-reasoning", "sim-torn",
		"sim-reveals", "sim-refusal", "sim-overloaded", "sim-reset", "sim-broken", "sim-torn-runes", "sim-crlf",
	}
}
