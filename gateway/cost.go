package gateway

import (
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// appendWithCost appends an answer with "cost", in USD, added to its usage. Where
// the provider told no usage, ours takes its place, marked as estimated.
func appendWithCost(to []byte, body string, r Receipt) []byte {
	usage := gjson.Get(body, "usage")
	if !usage.IsObject() || usage.Index <= 0 || r.Usage.Estimated || usage.Get("cost").Exists() {
		patched, err := sjson.SetRaw(body, "usage", patchedUsage(usage, r))
		if err != nil { // not on JSON that has been validated
			return append(to, body...)
		}
		return append(to, patched...)
	}
	end := usage.Index + len(usage.Raw) - 1
	to = append(to, body[:end]...)
	to = append(to, `,"cost":`...)
	to = append(to, billing.FormatUSD(r.CostNano)...)
	return append(to, body[end:]...)
}

// patchedUsage is the provider's usage object with our numbers in it.
func patchedUsage(usage gjson.Result, r Receipt) string {
	raw := "{}"
	if usage.IsObject() {
		raw = usage.Raw
	}
	set := func(field, value string) {
		if patched, err := sjson.SetRaw(raw, field, value); err == nil {
			raw = patched
		}
	}
	if r.Usage.Estimated {
		set("prompt_tokens", strconv.FormatInt(r.Usage.Prompt, 10))
		set("completion_tokens", strconv.FormatInt(r.Usage.Completion, 10))
		set("total_tokens", strconv.FormatInt(r.Usage.Prompt+r.Usage.Completion, 10))
		set("estimated", "true")
	}
	set("cost", billing.FormatUSD(r.CostNano))
	return raw
}

// closingEvent is the last event of a stream before [DONE], which tells the usage:
// the provider's own, or one of ours where it sent none.
func closingEvent(own []byte, t *llm.Transcript, model string, r Receipt) []byte {
	if own != nil {
		return append(appendWithCost([]byte("data: "), string(own), r), "\n\n"...)
	}
	if t.Model != "" {
		model = t.Model
	}
	details := func(name string, tokens int64) map[string]int64 { return map[string]int64{name: tokens} }
	chunk := struct {
		ID      string         `json:"id"`
		Object  string         `json:"object"`
		Created int64          `json:"created"`
		Model   string         `json:"model"`
		Choices []struct{}     `json:"choices"`
		Usage   map[string]any `json:"usage"`
	}{
		ID: t.ID, Object: "chat.completion.chunk", Created: t.Created, Model: model, Choices: []struct{}{},
		Usage: map[string]any{
			"prompt_tokens":             r.Usage.Prompt,
			"completion_tokens":         r.Usage.Completion,
			"total_tokens":              r.Usage.Prompt + r.Usage.Completion,
			"prompt_tokens_details":     details("cached_tokens", r.Usage.Cached),
			"completion_tokens_details": details("reasoning_tokens", r.Usage.Reasoning),
			"cost":                      json.Number(billing.FormatUSD(r.CostNano)),
		},
	}
	if r.Usage.Estimated {
		chunk.Usage["estimated"] = true
	}
	text, _ := json.Marshal(chunk) // these types always encode
	return append(append([]byte("data: "), text...), "\n\n"...)
}
