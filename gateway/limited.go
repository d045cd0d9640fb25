package gateway

import (
	"fmt"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

const (
	kindOfRequests = "requests"
	kindOfTokens   = "tokens"

	scopeOrganisation = "organisation"
	scopeAddress      = "address"
)

// explainLimit is a call that a limit refused: which one, and what helps. The client's
// library is told when to come back, or that this call never passes.
func explainLimit(e *ratelimit.ExceededError) problem {
	p := problem{status: 429, code: "rate_limit_exceeded", kind: kindOfRequests, retryAfter: e.RetryAfterSeconds()}
	whose := whoseLimit(e.Scope)
	wait := fmt.Sprintf("It passes in %d s.", p.retryAfter)
	switch {
	case e.Scope == scopeAddress:
		p.message = "Too many calls with keys that are not valid came from your address. Check the key; calls are looked at again in " +
			fmt.Sprintf("%d s.", p.retryAfter)
	case e.Name == ratelimit.NameTokens && e.Never:
		p.kind = kindOfTokens
		p.message = fmt.Sprintf("This call may come to %d tokens, prompt and answer together, and %s limit is %d tokens per %s: it never passes. "+
			"Shorten the prompt or ask for a shorter answer.", e.Cost, whose, e.Max, span(e.Window))
	case e.Name == ratelimit.NameTokens:
		p.kind = kindOfTokens
		p.message = fmt.Sprintf("This call may come to %d tokens, prompt and answer together, and %s limit is %d tokens per %s. %s "+
			"A shorter answer needs fewer.", e.Cost, whose, e.Max, span(e.Window), wait)
	case e.Kind == ratelimit.Concurrency:
		p.message = fmt.Sprintf("%s limit is %d calls under way at a time, and they are. Wait for one to end.", capital(whose), e.Max)
	case e.Kind == ratelimit.Bucket:
		p.message = fmt.Sprintf("Requests come too fast: %s limit is %d at once, and then one each %s. %s Spread them out.",
			whose, e.Max, (e.Window / time.Duration(max(1, e.Max))).Round(time.Millisecond), wait)
	default:
		p.message = fmt.Sprintf("%s limit is %d requests per %s. The next one passes in %d s.", capital(whose), e.Max, span(e.Window), p.retryAfter)
	}
	if e.Never {
		p.retryAfter, p.never = 0, true
	}
	return p
}

// whoseLimit begins with a small letter.
func whoseLimit(scope string) string {
	switch scope {
	case scopeAccount:
		return "this account's"
	case scopeApp:
		return "the Mini App's"
	case scopeOrganisation:
		return "the organisation's"
	case scopeEveryone:
		return "the whole service's"
	}
	return "this API key's"
}

func capital(text string) string { return string(text[0]-'a'+'A') + text[1:] }

// span is a window's length as one says it after "per".
func span(window time.Duration) string {
	switch window {
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	return window.String()
}
