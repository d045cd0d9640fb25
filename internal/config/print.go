package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

// String is every variable and its value, one on a line, without secrets.
func (c *Config) String() string {
	var b strings.Builder
	for _, attr := range c.attrs() {
		fmt.Fprintf(&b, "%s=%s\n", attr.Key, attr.Value)
	}
	return b.String()
}

// GoString is what %#v prints.
func (c *Config) GoString() string { return c.String() }

// LogValue is what slog prints: a group of the variables, without secrets.
func (c *Config) LogValue() slog.Value { return slog.GroupValue(c.attrs()...) }

func (c *Config) attrs() []slog.Attr {
	value := reflect.ValueOf(c).Elem()
	var attrs []slog.Attr
	for _, v := range variables() {
		field := value.FieldByName(v.field)
		text := fmt.Sprint(field.Interface())
		if v.secret {
			text = hidden
			if field.IsZero() {
				text = ""
			}
		}
		attrs = append(attrs, slog.String(v.name, text))
	}
	return attrs
}
