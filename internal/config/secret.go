package config

import (
	"errors"
	"log/slog"
	"strings"
)

const hidden = "***"

// Secret is text that prints as *** however it is printed. The text is behind
// a pointer because fmt reads unexported fields without asking their methods.
type Secret struct{ text *string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text itself. Pass it on; never print it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is any text.
func (s Secret) IsSet() bool { return s.Reveal() != "" }

func (s Secret) String() string { return hidden }

// GoString is what %#v prints.
func (s Secret) GoString() string { return hidden }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is what JSON, YAML and others print.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText sets the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Secrets is a comma-separated list of secrets.
type Secrets []Secret

// Reveal returns the texts themselves.
func (s Secrets) Reveal() []string {
	texts := make([]string, len(s))
	for i := range s {
		texts[i] = s[i].Reveal()
	}
	return texts
}

// UnmarshalText splits at commas. An empty element is an error: it is a comma
// too many, or a value that was to be filled in.
func (s *Secrets) UnmarshalText(text []byte) error {
	var list Secrets
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			return errors.New("has an empty element between its commas")
		}
		list = append(list, NewSecret(part))
	}
	*s = list
	return nil
}
