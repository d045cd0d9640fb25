// Package strict finds what an official client's types did not expect in an answer:
// the Go clients of OpenAI and Anthropic take whatever JSON comes and only note, per
// field, whether it was there and of its type.
package strict

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is what the clients note of one field of an answer.
type field interface {
	Valid() bool
	Raw() string // "" when it was missing
}

// Faults walks a decoded answer and names every required field that is missing,
// every field of another type than documented, and every field that the client
// does not know. Fields whose path ends with one of but are left out of it.
func Faults(answer any, but ...string) []string {
	w := walk{but: but}
	w.value("", reflect.ValueOf(answer))
	return w.faults
}

type walk struct {
	but    []string
	faults []string
}

func (w *walk) value(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			w.value(path, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.value(fmt.Sprintf("%s.%d", path, i), v.Index(i))
		}
	case reflect.Struct:
		w.object(path, v)
	default:
	}
}

func (w *walk) object(path string, v reflect.Value) {
	notes := v.FieldByName("JSON")
	if !notes.IsValid() || notes.Kind() != reflect.Struct {
		return
	}
	// A union stands for the variant that its type names.
	if variant := v.MethodByName("AsAny"); variant.IsValid() && variant.Type().NumIn() == 0 {
		if is := variant.Call(nil)[0]; is.IsNil() {
			w.fault(path, "is of no known variant")
		} else {
			w.value(path, is)
		}
		return
	}
	if extra := notes.FieldByName("ExtraFields"); extra.IsValid() {
		for _, name := range extra.MapKeys() {
			w.fault(path+"."+name.String(), "is unknown to the client")
		}
	}
	for i := range v.NumField() {
		at := v.Type().Field(i)
		note := notes.FieldByName(at.Name)
		if at.Name == "JSON" || !note.IsValid() {
			continue
		}
		noted, ok := note.Interface().(field)
		if !ok {
			continue
		}
		name := path + "." + strings.Split(at.Tag.Get("json"), ",")[0]
		switch {
		case noted.Raw() == "":
			if at.Tag.Get("api") == "required" || at.Tag.Get("default") != "" {
				w.fault(name, "is missing")
			}
		case noted.Raw() == "null":
		case !noted.Valid():
			w.fault(name, "is of another type: "+noted.Raw())
		default:
			w.value(name, v.Field(i))
		}
	}
}

func (w *walk) fault(path, what string) {
	if !slices.ContainsFunc(w.but, func(end string) bool { return strings.HasSuffix(path, end) }) {
		w.faults = append(w.faults, strings.TrimPrefix(path, ".")+" "+what)
	}
}
