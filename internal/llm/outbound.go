package llm

import (
	"net/http"
	"net/url"
	"regexp"
	"time"
)

const (
	headerAnthropicVersion = "Anthropic-Version"
	headerAnthropicBeta    = "Anthropic-Beta"
	headerAPIKey           = "X-Api-Key" // #nosec G101 -- a header's name

	// anthropicVersion is the protocol's, where the client names none.
	anthropicVersion = "2023-06-01"
)

// Outbound is a request as a deployment is to receive it. See [Request.For].
type Outbound struct {
	Body   []byte        // must not change any more
	Within time.Duration // that the call may take, if less than usual; 0: as usual

	operation Operation // that the deployment is asked for
	sound     bool      // the answer is to be a stream of bytes
	// whole reads a streamed request's answer that comes whole, from a provider that may
	// take no notice of the wish for a stream; nil: such an answer is none.
	whole      func(*Answer) error
	deployment *Deployment
	target     *url.URL
	header     http.Header // shared: never written to
}

// way is all of a request to a provider that is the same for every call of an operation.
type way struct {
	target       *url.URL
	whole, event http.Header
}

// outbound is a request for an operation with a JSON body. headers are names and values
// beside those that every request has; a value of "" is left out.
func (d *Deployment) outbound(o Operation, stream bool, body []byte, headers ...string) Outbound {
	w := &d.Provider.ways[o]
	out := Outbound{Body: body, operation: o, deployment: d, target: w.target, header: w.whole}
	if stream {
		out.header = w.event
	}
	own := false
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			continue
		}
		if !own {
			out.header, own = out.header.Clone(), true
		}
		out.header.Set(headers[i], headers[i+1])
	}
	return out
}

// pave prepares the ways of all operations to a provider.
func (p *Provider) pave(key string) {
	header := func(accept string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "User-Agent": {userAgent}}
		if p.Protocol == ProtocolAnthropic {
			h[headerAnthropicVersion] = []string{anthropicVersion}
		}
		switch {
		case key == "":
		case p.Protocol == ProtocolAnthropic:
			h[headerAPIKey] = []string{key}
		default:
			h["Authorization"] = []string{"Bearer " + key}
		}
		return h
	}
	whole, event := header("application/json"), header("text/event-stream")
	for o := range operationCount {
		target := *p.base
		target.Path += paths[o]
		target.RawPath = ""
		p.ways[o] = way{&target, whole, event}
	}
}

var (
	versionForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	betaForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*( ?, ?[A-Za-z0-9][A-Za-z0-9_.-]*)*$`)
)

// maxBeta bounds the list of a client's betas.
const maxBeta = 1024 // bytes
