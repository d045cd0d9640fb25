package llm

import (
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// appendWithCost appends an answer of OpenAI's protocol with "cost", in USD, added to its
// usage. Where the provider told no usage, ours takes its place, marked as estimated.
func appendWithCost(to []byte, body string, usage gjson.Result, f Final) []byte {
	if !usage.IsObject() || usage.Index <= 0 || f.Estimated || usage.Get("cost").Exists() {
		return appendPatchedUsage(to, body, patchedUsage(usage, f, "prompt_tokens", "completion_tokens"))
	}
	return appendCost(to, body, usage, f)
}

// appendCost adds the cost to a usage object that stands in body, at its Index.
func appendCost(to []byte, body string, usage gjson.Result, f Final) []byte {
	end := usage.Index + len(usage.Raw) - 1
	to = append(to, body[:end]...)
	if !emptyObject(usage.Raw) {
		to = append(to, ',')
	}
	to = append(to, `"cost":`...)
	to = append(to, f.Cost...)
	return append(to, body[end:]...)
}

// appendInputCost is appendWithCost for the operations that say input_tokens and
// output_tokens.
func appendInputCost(to []byte, body string, f Final) []byte {
	usage := gjson.Get(body, "usage")
	if usage.IsObject() && usage.Index > 0 && !f.Estimated && !usage.Get("cost").Exists() {
		return appendCost(to, body, usage, f)
	}
	return appendPatchedUsage(to, body, patchedUsage(usage, f, "input_tokens", "output_tokens"))
}

func emptyObject(raw string) bool {
	for i := 1; i < len(raw)-1; i++ {
		if !blank(raw[i]) {
			return false
		}
	}
	return true
}

func appendPatchedUsage(to []byte, body, usage string) []byte {
	return appendPatched(to, body, "usage", usage)
}

func appendPatched(to []byte, body, path, usage string) []byte {
	patched, err := sjson.SetRaw(body, path, usage)
	if err != nil { // not on JSON that has been validated
		return append(to, body...)
	}
	return append(to, patched...)
}

// patchedUsage is the provider's usage object with our numbers in it, under the names
// that prompt and completion have in its protocol; no completion: it has none of it.
func patchedUsage(usage gjson.Result, f Final, prompt, completion string) string {
	raw := "{}"
	if usage.IsObject() {
		raw = usage.Raw
	}
	set := func(field, value string) {
		if patched, err := sjson.SetRaw(raw, field, value); err == nil {
			raw = patched
		}
	}
	if f.Estimated {
		set(prompt, strconv.FormatInt(f.Prompt, 10))
		if completion != "" {
			set(completion, strconv.FormatInt(f.Completion, 10))
		}
		set("total_tokens", strconv.FormatInt(f.Prompt+f.Completion, 10))
		set("estimated", "true")
	}
	set("cost", f.Cost)
	return raw
}
