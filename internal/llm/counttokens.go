package llm

import (
	"context"
	"slices"

	"github.com/tidwall/gjson"
)

// CountTokens asks a deployment for the tokens of a prompt and returns its answer, a JSON
// object with input_tokens. It is no call of the model: nothing is paid for it. counted
// is false where the deployment's protocol has no way to ask. Errors: [*UpstreamError],
// or ctx's cause.
func (c *Client) CountTokens(ctx context.Context, r *Request, d *Deployment) (answer []byte, counted bool, err error) {
	if d.Provider.Protocol != ProtocolAnthropic {
		return nil, false, nil
	}
	out, _, err := r.For(d, 0, nil)
	if err != nil {
		return nil, false, err
	}
	a, err := c.complete(ctx, out, isCount)
	if err != nil {
		return nil, false, err
	}
	defer a.Release()
	return slices.Clone(a.Bytes()), true, nil
}

func isCount(a *Answer) error {
	count, err := wholeJSON(a)
	if err != nil {
		return err
	}
	if count.Get("input_tokens").Type != gjson.Number {
		return errNoAnswer
	}
	return nil
}
