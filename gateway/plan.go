package gateway

import (
	"fmt"
	"slices"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// bounds are the limits of a call's worst case, in tokens.
type bounds struct {
	prompt int64 // at most
	output int64 // of one answer, at most
	least  int64 // of one answer, at least, for the call to be worth it
	n      int64 // answers
	units  llm.Units
	lacks  billing.Kinds
}

// worst is what the call can come to with answers of so many tokens.
func (b bounds) worst(output int64) billing.Bound {
	return billing.Bound{
		Prompt: b.prompt, Output: output * b.n, Without: b.lacks,
		Images: b.units.Images, AudioMS: b.units.AudioMS, Characters: b.units.Characters,
	}
}

// lacking are the kinds of tokens whose prices do not matter for the worst case.
func lacking(l llm.Kinds) (lacks billing.Kinds) {
	for _, k := range [...]struct {
		lacks bool
		kind  billing.Kinds
	}{
		{l.AudioIn, billing.AudioIn}, {l.ImageIn, billing.ImageIn}, {l.HourWrite, billing.HourWrite},
		{l.AudioOut, billing.AudioOut}, {l.ImageOut, billing.ImageOut},
	} {
		if k.lacks {
			lacks |= k.kind
		}
	}
	return lacks
}

// tokens are how many a call may come to; stated: it says how long its answer may be.
func (b bounds) tokens(stated bool) tokens {
	t := tokens{want: b.prompt + b.output*b.n}
	t.good, t.bare = t.want, t.want
	if !stated {
		t.good = b.prompt + min(b.output, goodOutput)*b.n
		t.bare = b.prompt + b.least*b.n
	}
	return t
}

// plan finds the model of that id and the call's worst case at it. [*llm.RequestError],
// llm.ErrModelUnknown.
func (m *Meter) plan(c *Call, id string) (*offer, bounds, error) {
	o, r, most := m.offers[id], c.Request, c.MaxOutput
	if o == nil {
		return nil, bounds{}, llm.ErrModelUnknown
	}
	if !o.Offers(r.Operation.Offer()) {
		return nil, bounds{}, &llm.RequestError{Param: "model", Message: "This model is not offered for calls of this kind. GET /api/v1/products says what each model is for."}
	}
	if c.Provider != "" && !slices.ContainsFunc(o.Deployments(), func(d *llm.Deployment) bool { return d.Provider.Name == c.Provider }) {
		return nil, bounds{}, &llm.RequestError{Param: "provider", Message: "This provider does not offer this model here. GET /v1/models lists those that do."}
	}
	b := bounds{prompt: r.PromptBound(o.Model), output: r.OutputBound(o.Model), n: r.N, units: r.Units, lacks: lacking(r.Lacks)}
	if r.Unbending() {
		b.least = b.output
		return o, b, nil
	}
	if most > 0 {
		b.output = min(b.output, most)
	}
	b.least = min(leastOutput, b.output)
	if r.MaxOutput > o.MaxOutput {
		return nil, bounds{}, &llm.RequestError{Param: r.MaxField, Message: fmt.Sprintf(
			"'%s' is too large: this model answers with at most %d tokens.", r.MaxField, o.MaxOutput)}
	}
	if r.MaxOutput > 0 {
		b.output, b.least = r.MaxOutput, r.MaxOutput
	}
	return o, b, nil
}
