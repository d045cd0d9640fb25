// Package spec knows the shapes of the Bot API: which parameters a method takes and which fields an update
// has. It checks outgoing calls and makes sample updates.
//
// The names in bot_api.json come from Telegram's public documentation of the Bot API.
package spec

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed bot_api.json
var botAPI []byte

// Version is the Bot API version the names come from.
const Version = "10.3"

// field is one field of a type or one parameter of a method.
type field struct {
	name     string
	required bool
	types    []string // "Integer", "Message", "Integer[]", "Integer[][]"…
	value    string   // the only value it may have (discriminators), or an example
}

type api struct {
	types   map[string][]field
	unions  map[string][]string
	methods map[string][]field
	spelled map[string]string // lower case → method
}

// known is read once, on first use.
var known = sync.OnceValue(func() *api {
	var file struct {
		Types   map[string]string `json:"types"`
		Unions  map[string]string `json:"unions"`
		Methods map[string]string `json:"methods"`
	}
	if err := json.Unmarshal(botAPI, &file); err != nil {
		panic("spec: embedded bot_api.json: " + err.Error())
	}
	a := &api{types: map[string][]field{}, unions: map[string][]string{}, methods: map[string][]field{}, spelled: map[string]string{}}
	for name, line := range file.Types {
		a.types[name] = fields(line)
	}
	for name, line := range file.Unions {
		a.unions[name] = strings.Fields(line)
	}
	for name, line := range file.Methods {
		a.methods[name] = fields(line)
		a.spelled[strings.ToLower(name)] = name
	}
	return a
})

// fields reads "name!:Type|Type=value other:Type~example": ! marks required ones.
func fields(line string) []field {
	var list []field
	for _, word := range strings.Fields(line) {
		name, types, _ := strings.Cut(word, ":")
		f := field{}
		f.name, f.required = strings.CutSuffix(name, "!")
		if i := strings.IndexAny(types, "=~"); i >= 0 {
			types, f.value = types[:i], types[i+1:]
		}
		f.types = strings.Split(types, "|")
		list = append(list, f)
	}
	return list
}

// MethodName spells a method as the Bot API does; ok is false where there is no such method.
func MethodName(name string) (spelled string, ok bool) {
	spelled, ok = known().spelled[strings.ToLower(name)]
	return spelled, ok
}

// Methods lists all methods by name.
func Methods() []string {
	var names []string
	for name := range known().methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Kinds lists the kinds of update: the fields of Update beside update_id.
func Kinds() []string {
	var kinds []string
	for _, f := range known().types["Update"] {
		if f.name != "update_id" {
			kinds = append(kinds, f.name)
		}
	}
	return kinds
}

// CallError says what is wrong with a call: parameters the method does not know, required ones that are
// missing, and ones of a wrong type, too long or too many.
type CallError struct {
	Method  string
	Unknown []string
	Missing []string
	Wrong   []string // "name: what was expected"
}

// Error lists everything at once.
func (e *CallError) Error() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"unknown", e.Unknown}, {"missing", e.Missing}, {"wrong", e.Wrong}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+" "+strings.Join(p.names, ", "))
		}
	}
	return fmt.Sprintf("spec: %s: %s", e.Method, strings.Join(parts, "; "))
}

// CheckCall checks the parameters of a call, given as text (strings as they are, the rest as JSON), against
// the documentation: their names, types and limits, and those of what objects they hold. A method that does not exist is a CallError too.
func CheckCall(method string, params map[string]string) error {
	expected, ok := known().methods[method]
	if !ok {
		return &CallError{Method: method, Wrong: []string{"the method does not exist"}}
	}
	e := &CallError{Method: method}
	names := map[string]bool{}
	for _, f := range expected {
		names[f.name] = true
		value, given := params[f.name]
		switch {
		case !given && f.required:
			e.Missing = append(e.Missing, f.name)
		case given && !slices.ContainsFunc(f.types, func(t string) bool { return accepts(t, value) }):
			e.Wrong = append(e.Wrong, f.name+": not "+strings.Join(f.types, " or "))
		case given:
			known().checkObject(f, value, e)
		}
	}
	for name := range params {
		if !names[name] {
			e.Unknown = append(e.Unknown, name)
		}
	}
	checkLimits(method, params, e)
	if e.Unknown == nil && e.Missing == nil && e.Wrong == nil {
		return nil
	}
	slices.Sort(e.Unknown)
	return e
}

// accepts tells whether a parameter's text can be of a type.
func accepts(kind, text string) bool {
	var v any
	decoded := json.Unmarshal([]byte(text), &v) == nil
	switch kind {
	case "String", "InputFile", "Any":
		return true
	case "Integer":
		n, ok := v.(float64)
		return decoded && ok && n == float64(int64(n)) && !strings.ContainsAny(text, ".eE")
	case "Float":
		_, ok := v.(float64)
		return decoded && ok
	case "Boolean", "True":
		_, ok := v.(bool)
		return decoded && ok
	}
	if element, ok := strings.CutSuffix(kind, "[]"); ok {
		list, ok := v.([]any)
		if !decoded || !ok {
			return false
		}
		for _, item := range list {
			raw, err := json.Marshal(item)
			if _, text := item.(string); err != nil || element != "String" && text || element == "String" && !text || !accepts(element, string(raw)) {
				return false
			}
		}
		return true
	}
	_, ok := v.(map[string]any)
	return decoded && ok
}
