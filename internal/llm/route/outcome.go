package route

// Outcome is how an attempt ended, as far as it tells something about its deployment.
type Outcome uint8

// The outcomes. Gone is the zero value: whoever forgets to say how an attempt ended has
// said nothing about its deployment.
const (
	Gone          Outcome = iota // ended by us or the client; says nothing
	Answered                     // as it should be
	Refused                      // the provider found the request wrong, and is well
	Busy                         // the provider's rate limit
	Overloaded                   // the provider cannot keep up
	Timeout                      // nothing came in time
	Broken                       // an error of the provider's, or an answer without sense
	Unreachable                  // no connection, or it broke
	Misconfigured                // our key, our account or our model name there
	outcomes
)

// names are the outcomes as a metric's label.
var names = [outcomes]string{
	"canceled", "ok", "refused", "busy", "overloaded", "timeout", "broken", "unreachable", "misconfigured",
}

func (o Outcome) String() string {
	if o < outcomes {
		return names[o]
	}
	return "unknown"
}

// verdict is what an outcome means to a circuit breaker.
type verdict int8

const (
	neutral verdict = iota
	success
	failure
)

// verdict: failures are the provider's alone. A rate limit is neither: the provider is
// well and says itself when to come again.
func (o Outcome) verdict() verdict {
	switch o {
	case Answered, Refused:
		return success
	case Overloaded, Timeout, Broken, Unreachable, Misconfigured:
		return failure
	}
	return neutral
}

// congested says whether fewer calls at a time would have helped.
func (o Outcome) congested() bool { return o == Busy || o == Overloaded || o == Timeout }
