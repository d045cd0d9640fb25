package llm

import (
	"github.com/tidwall/gjson"
)

// The fields of the simple form that are read before it is taken for a chat completion
// request.
var simpleGoverned = [...]string{"provider", "messages"}

// ParseSimple reads a request in the simple form: that of a chat completion, and beside it
// 'provider', the name of the one whose deployments alone are to be asked; "": any. The
// body is copied. The error is a [*RequestError].
func ParseSimple(body []byte) (r *Request, provider string, err error) {
	text := string(body)
	root, err := object(text)
	if err != nil {
		return nil, "", err
	}
	var at [len(simpleGoverned)]member
	var values [len(simpleGoverned)]gjson.Result
	if err := locate(root, simpleGoverned[:], at[:], values[:], ignored); err != nil {
		return nil, "", err
	}
	if !at[1].present() {
		return nil, "", refused("messages", `Say what to answer: 'messages' must be an array such as [{"role":"user","content":"Hello"}].`)
	}
	if !at[0].present() {
		r, err = ParseChat(body)
		return r, "", err
	}
	switch v := values[0]; {
	case v.Type == gjson.Null:
	case v.Type == gjson.String && v.Str != "":
		provider = v.Str
	default:
		return nil, "", refused("provider", "'provider' must be a provider's name; leave it out for any.")
	}
	r, err = ParseChat(appendEdited(nil, text, []edit{without(text, at[0])}))
	return r, provider, err
}

// SplitBatch cuts a body that must be an array into its elements, which are copied: one at
// least, and no more than most. What an element is, nobody has looked at. The error is a
// [*RequestError].
func SplitBatch(body []byte, most int) ([]string, error) {
	text := string(body)
	if check(text) != wellFormed {
		return nil, refused("", "The body is not valid JSON.")
	}
	root := gjson.Parse(text)
	var elements []string
	if root.IsArray() {
		root.ForEach(func(_, element gjson.Result) bool {
			elements = append(elements, element.Raw)
			return len(elements) <= most
		})
	}
	if len(elements) == 0 || len(elements) > most {
		return nil, refused("", `The body must be an array of 1 to %d calls such as {"model":"…","messages":[…]}.`, most)
	}
	return elements, nil
}
