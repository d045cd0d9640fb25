package translate

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth bounds how deep JSON may be nested; far below what any client sends.
const maxDepth = 256

// request is one in the source's protocol, read field by field, that can be written in
// the target's.
type request interface {
	field(name string, v gjson.Result) *Error
	write(w *writer) *Error
}

// convert reads body into r and writes it.
func convert(body []byte, r request) ([]byte, error) {
	root, err := parse(body)
	if err == nil {
		err = each(root, r.field)
	}
	w := writer{b: make([]byte, 0, len(body)+len(body)/8+256)}
	if err == nil {
		err = r.write(&w)
	}
	if err != nil {
		return nil, sentence(err)
	}
	return w.b, nil
}

// parse reads a request's body.
func parse(body []byte) (gjson.Result, *Error) {
	switch {
	case tooDeep(body):
		return gjson.Result{}, fault("is nested deeper than %d levels", maxDepth)
	case !utf8.Valid(body):
		return gjson.Result{}, fault("is not valid UTF-8")
	case !gjson.ValidBytes(body):
		return gjson.Result{}, fault("is not valid JSON")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return gjson.Result{}, fault("must be a JSON object")
	}
	return root, nil
}

// parseAnswer reads what a provider sent, an answer or an event. Bytes that are no UTF-8 are
// replaced, as every client would. ErrBroken; *ProviderError where it is an error instead.
func parseAnswer(body []byte) (gjson.Result, error) {
	root, err := parse(bytes.ToValidUTF8(body, []byte("\uFFFD")))
	if err != nil {
		return gjson.Result{}, ErrBroken
	}
	return root, reported(root)
}

// tooDeep looks only at brackets outside strings.
func tooDeep(json []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(json); i++ {
		switch c := json[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// each visits an object's fields. A name that stands twice is a fault: two readers
// might heed different ones. A fault of visit is placed in the field.
func each(object gjson.Result, visit func(name string, v gjson.Result) *Error) *Error {
	if !object.IsObject() {
		return fault("must be an object")
	}
	var seen []string // short: visit refuses names it does not know
	var err *Error
	object.ForEach(func(key, v gjson.Result) bool {
		name := key.String()
		if slices.Contains(seen, name) {
			err = in(name, fault("appears twice"))
			return false
		}
		seen = append(seen, name)
		err = in(name, visit(name, v))
		return err == nil
	})
	return err
}

// elements visits an array's elements. A fault of visit is placed in the element.
func elements(array gjson.Result, visit func(i int, v gjson.Result) *Error) *Error {
	if !array.IsArray() {
		return fault("must be an array")
	}
	var err *Error
	i := 0
	array.ForEach(func(_, v gjson.Result) bool {
		err = in("["+strconv.Itoa(i)+"]", visit(i, v))
		i++
		return err == nil
	})
	return err
}

// length counts an array's elements; 0 for what is no array.
func length(v gjson.Result) int {
	n := 0
	if v.IsArray() {
		v.ForEach(func(_, _ gjson.Result) bool { n++; return true })
	}
	return n
}

// empty says that a value asks for nothing: it is absent, null, false, 0, "", {} or [].
func empty(v gjson.Result) bool {
	switch v.Type {
	case gjson.Null, gjson.False:
		return true
	case gjson.Number:
		return v.Num == 0
	case gjson.String:
		return v.Str == ""
	case gjson.JSON:
		nothing := true
		v.ForEach(func(_, _ gjson.Result) bool { nothing = false; return false })
		return nothing
	}
	return false
}

func given(v gjson.Result) bool { return v.Type != gjson.Null }

// text wants a string.
func text(v gjson.Result) *Error {
	if v.Type != gjson.String {
		return fault("must be a string")
	}
	return nil
}

// words wants a string that is not empty.
func words(v gjson.Result) *Error {
	if v.Type != gjson.String || v.Str == "" {
		return fault("must be a non-empty string")
	}
	return nil
}

// boolean reads true or false; null and absent are false.
func boolean(v gjson.Result) (bool, *Error) {
	switch v.Type {
	case gjson.True:
		return true, nil
	case gjson.False, gjson.Null:
		return false, nil
	}
	return false, fault("must be true or false")
}

// number wants a number in a range.
func number(v gjson.Result, least, most float64) *Error {
	if v.Type != gjson.Number || v.Num < least || v.Num > most {
		return fault("must be a number from %v to %v", least, most)
	}
	return nil
}

const mostTokens = 1<<31 - 1 // of any count a client states

// count reads an integer of at least 1; 0: absent or null.
func count(v gjson.Result) (int64, *Error) {
	if v.Type == gjson.Null {
		return 0, nil
	}
	if v.Type == gjson.Number {
		if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil && n >= 1 && n <= mostTokens {
			return n, nil
		}
	}
	return 0, fault("must be an integer from 1 to %d", mostTokens)
}

// oneOf wants one of some strings.
func oneOf(v gjson.Result, known ...string) *Error {
	if v.Type != gjson.String {
		return fault("must be a string")
	}
	if !slices.Contains(known, v.Str) {
		return fault("has a value (%.40q) that cannot be used with this model", v.Str)
	}
	return nil
}
