package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Sample is one update, whole, with an update_id of its own.
type Sample struct {
	Name string // unique
	Kind string // the field of Update it carries
	JSON []byte
}

const (
	sampleUpdateID = 500_000_001
	sampleChat     = 100_001
	sampleUser     = 100_001
	sampleDate     = 1_760_000_000
	nesting        = 6 // how deep optional objects are filled
)

// Samples makes updates of every kind: with the required fields only, with all fields, for every optional
// field of Message one that has that field alone, one for every member of every union an update can carry at
// its first level, and the situations of Telegram's webhook guide. Always the same, in the same order.
func Samples() []Sample {
	var list []Sample
	add := func(name, kind string, value any) {
		body, err := json.Marshal(map[string]any{"update_id": sampleUpdateID + len(list), kind: value})
		if err != nil {
			panic(fmt.Sprintf("spec: sample %s: %v", name, err))
		}
		list = append(list, Sample{Name: name, Kind: kind, JSON: body})
	}
	a := known()
	for _, f := range a.types["Update"] {
		if f.name == "update_id" {
			continue
		}
		kind := f.types[0]
		add(f.name, f.name, a.object(kind, 0, nil))
		add(f.name+"/full", f.name, a.object(kind, nesting, nil))
		if kind == "Message" && f.name != "message" {
			continue // the kinds of message are shown once
		}
		for _, sub := range a.types[kind] {
			if sub.required {
				a.variants(kind, sub, func(name string, v any) { add(f.name+"/"+sub.name+"="+name, f.name, v) })
				continue
			}
			add(f.name+"/"+sub.name, f.name, a.object(kind, 0, []string{sub.name}))
			a.variants(kind, sub, func(name string, v any) { add(f.name+"/"+sub.name+"="+name, f.name, v) })
		}
	}
	for _, g := range guide {
		var v any
		if err := json.Unmarshal([]byte(g.body), &v); err != nil {
			panic(fmt.Sprintf("spec: guide sample %s: %v", g.name, err))
		}
		add("guide/"+g.name, g.kind, v)
	}
	return list
}

// variants makes the object once per member of the union that a field may hold, beyond the first.
func (a *api) variants(kind string, f field, add func(name string, v any)) {
	members := a.unions[f.types[0]]
	for _, member := range members[min(1, len(members)):] {
		o := a.object(kind, 0, nil)
		o[f.name] = a.value(field{name: f.name, types: []string{member}}, 1)
		add(member, o)
	}
}

// object makes an object with its required fields, the optional ones named, and, while depth lasts, all.
func (a *api) object(kind string, depth int, named []string) map[string]any {
	o := map[string]any{}
	for _, f := range a.types[kind] {
		if !f.required && depth <= 0 && !slices.Contains(named, f.name) {
			continue
		}
		// a message inside a message carries no further messages
		if !f.required && depth < nesting && depth > 0 && (f.types[0] == "Message" || f.types[0] == "MaybeInaccessibleMessage") {
			continue
		}
		o[f.name] = a.value(f, depth-1)
	}
	return o
}

func (a *api) value(f field, depth int) any {
	kind := f.types[0]
	if element, ok := strings.CutSuffix(kind, "[]"); ok {
		f.types = []string{element}
		return []any{a.value(f, depth)}
	}
	if members, ok := a.unions[kind]; ok {
		f.types = members[:1]
		return a.value(f, depth)
	}
	switch kind {
	case "Integer":
		return integer(f.name)
	case "Float":
		return 12.5
	case "Boolean", "True":
		return true
	case "String", "Any":
		return text(f)
	}
	return a.object(kind, depth, nil)
}

func integer(name string) int64 {
	switch {
	case name == "id" || strings.HasSuffix(name, "user_id") || strings.HasSuffix(name, "chat_id"):
		return sampleUser
	case name == "offset":
		return 0
	case strings.HasSuffix(name, "date") || strings.HasSuffix(name, "time"):
		return sampleDate
	}
	return 3
}

func text(f field) string {
	if f.value != "" {
		return f.value
	}
	switch {
	case f.name == "text" || f.name == "caption":
		return "Good 🌞 morning"
	case f.name == "id" || strings.HasSuffix(f.name, "_id"):
		return "4382bfdwdsb323b2d9"
	case strings.HasSuffix(f.name, "url"):
		return "https://example.com/page"
	case f.name == "language_code":
		return "en"
	case f.name == "currency":
		return "XTR"
	}
	return "sample"
}

// Object makes a sample of a documented type, with its required fields and those of what they hold. It is nil
// for a type that does not exist.
func Object(kind string) json.RawMessage {
	a := known()
	if _, ok := a.types[kind]; !ok {
		return nil
	}
	raw, err := json.Marshal(a.object(kind, 0, nil))
	if err != nil {
		panic(fmt.Sprintf("spec: sample of %s: %v", kind, err))
	}
	return raw
}
