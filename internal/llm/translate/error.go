package translate

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a request that cannot be translated. Message is a sentence for the
// client that names the field; Param is the field's path, such as
// "messages[2].content[0].image_url.url", or "" for the body as a whole.
type Error struct {
	Param   string
	Message string

	whole bool // Param is the path from the body on, not from the value at hand
}

func (e *Error) Error() string { return "translate: " + e.Message }

// ErrBroken means that an answer or event of a provider is not what its protocol
// says.
var ErrBroken = errors.New("translate: the provider's answer makes no sense")

// ProviderError is an error that a provider reported in place of an answer or
// within a stream, in the provider's words.
type ProviderError struct {
	Type    string
	Code    string
	Message string
}

func (e *ProviderError) Error() string {
	return fmt.Sprintf("translate: the provider reports %.40q: %.200q", e.Type, e.Message)
}

const maxParam = 64 // bytes of a client's own field name in a path

// fault says what is wrong with the value at hand: words that follow its name.
func fault(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}

// faultAt says what is wrong with a field of the value at hand.
func faultAt(field, format string, args ...any) *Error {
	return &Error{Param: field, Message: fmt.Sprintf(format, args...)}
}

// noCounterpart refuses what the other protocol has no words for.
func noCounterpart() *Error {
	return fault("cannot be used with this model: its provider's protocol has no counterpart")
}

// in puts a field's name before the path of a fault inside its value.
func in(field string, err *Error) *Error {
	if err == nil || err.whole {
		return err
	}
	if len(field) > maxParam {
		field = strings.ToValidUTF8(field[:maxParam], "") + "…"
	}
	if err.Param != "" && err.Param[0] != '[' {
		field += "."
	}
	return &Error{Param: field + err.Param, Message: err.Message}
}

// sentence completes a fault once its whole path is known.
func sentence(err *Error) error {
	switch {
	case err == nil:
		return nil
	case err.Param == "":
		return &Error{Message: "The body " + err.Message + "."}
	}
	return &Error{Param: err.Param, Message: "'" + err.Param + "' " + err.Message + "."}
}
