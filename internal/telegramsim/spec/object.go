package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ObjectError says where an object differs from the documented type.
type ObjectError struct {
	Kind   string
	Faults []string // "path: what is wrong", sorted
}

// Error lists everything at once.
func (e *ObjectError) Error() string {
	return fmt.Sprintf("spec: %s: %s", e.Kind, strings.Join(e.Faults, "; "))
}

// CheckObject checks an object that Telegram sends, an update or a method's result, against the documented
// type: required fields are there, nothing else but documented fields is, and all have their types.
func CheckObject(kind string, raw []byte) error {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return &ObjectError{Kind: kind, Faults: []string{"not JSON"}}
	}
	e := &ObjectError{Kind: kind}
	if !known().defines(kind) {
		e.Faults = append(e.Faults, "the type does not exist")
	} else {
		known().compare(kind, kind, v, e)
	}
	if e.Faults == nil {
		return nil
	}
	slices.Sort(e.Faults)
	return e
}

func (a *api) defines(kind string) bool {
	_, object := a.types[kind]
	_, union := a.unions[kind]
	return object || union
}

// compare adds to e what is wrong with a value at a path.
func (a *api) compare(path, kind string, v any, e *ObjectError) {
	if element, ok := strings.CutSuffix(kind, "[]"); ok {
		list, ok := v.([]any)
		if !ok {
			e.Faults = append(e.Faults, path+": not an array")
		}
		for i, item := range list {
			a.compare(fmt.Sprintf("%s.%d", path, i), element, item, e)
		}
		return
	}
	if members, ok := a.unions[kind]; ok {
		a.compare(path, a.member(members, v), v, e)
		return
	}
	fields, ok := a.types[kind]
	if !ok {
		if !scalar(kind, v) {
			e.Faults = append(e.Faults, path+": not "+kind)
		}
		return
	}
	object, ok := v.(map[string]any)
	if !ok {
		e.Faults = append(e.Faults, path+": not "+kind)
		return
	}
	names := map[string]bool{}
	for _, f := range fields {
		names[f.name] = true
		value, given := object[f.name]
		switch {
		case given && value == nil && !f.required: // as if it were left out
		case given:
			a.compareAny(path+"."+f.name, f.types, value, e)
		case f.required:
			e.Faults = append(e.Faults, path+"."+f.name+": missing")
		}
	}
	for name := range object {
		if !names[name] {
			e.Faults = append(e.Faults, path+"."+name+": unknown")
		}
	}
}

// compareAny is compare where a value may have any of some types.
func (a *api) compareAny(path string, kinds []string, v any, e *ObjectError) {
	for _, kind := range kinds[1:] {
		faults := &ObjectError{}
		if a.compare(path, kind, v, faults); faults.Faults == nil {
			return
		}
	}
	a.compare(path, kinds[0], v, e)
}

// member picks the type of a union whose discriminator the value has, else the first.
func (a *api) member(members []string, v any) string {
	object, _ := v.(map[string]any)
	for _, m := range members {
		for _, f := range a.types[m] {
			if f.required && f.value != "" && object[f.name] == f.value {
				return m
			}
		}
	}
	return members[0]
}

// scalar tells whether a decoded value has a type that is no object.
func scalar(kind string, v any) bool {
	switch kind {
	case "String":
		_, ok := v.(string)
		return ok
	case "Integer":
		n, ok := v.(float64)
		return ok && n == float64(int64(n))
	case "Float":
		_, ok := v.(float64)
		return ok
	case "Boolean", "True":
		_, ok := v.(bool)
		return ok
	}
	return true // Any, and what the list of types leaves out
}
