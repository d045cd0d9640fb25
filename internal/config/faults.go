package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Fault is one thing wrong with one variable. It never holds a secret's value.
type Fault struct {
	Variable string
	Problem  string // reads on from the variable's name: "is not a number"
	Mend     string // what to do about it; may be empty where Problem says it
}

// missing is the problem of a variable that a command cannot do without.
const missing = "is missing"

// FaultsError is everything wrong with the configuration.
type FaultsError struct{ Faults []Fault }

// Error is a heading and one line for each fault.
func (e *FaultsError) Error() string {
	var b strings.Builder
	if len(e.Faults) == 1 {
		b.WriteString("the configuration has a fault:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d faults:", len(e.Faults))
	}
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.Variable + " " + f.Problem)
		if f.Mend != "" {
			b.WriteString(": " + f.Mend)
		}
	}
	return b.String()
}

func (e *FaultsError) add(variable, problem, mend string) {
	if !e.about(variable) { // the first fault of a variable says enough
		e.Faults = append(e.Faults, Fault{variable, problem, mend})
	}
}

// about reports whether a fault of the variable, or of its _FILE, is known.
func (e *FaultsError) about(variable string) bool {
	return slices.ContainsFunc(e.Faults, func(f Fault) bool {
		return f.Variable == variable || f.Variable == variable+"_FILE"
	})
}

// explain tells more of a variable that is missing, if it is.
func (e *FaultsError) explain(variable, problem, mend string) bool {
	for i, f := range e.Faults {
		if f.Variable == variable && f.Problem == missing {
			e.Faults[i] = Fault{variable, problem, mend}
			return true
		}
	}
	return false
}

// sort puts the faults in the order of Config's fields, and those of other variables
// after them.
func (e *FaultsError) sort() {
	order := map[string]int{}
	for i, v := range variables() {
		order[v.name], order[v.name+"_FILE"] = i, i
	}
	place := func(f Fault) int {
		if at, ours := order[f.Variable]; ours {
			return at
		}
		return len(order)
	}
	slices.SortStableFunc(e.Faults, func(a, b Fault) int { return place(a) - place(b) })
}

// addParsing translates the parser's errors, which speak of Go's fields and
// types and quote values, into ours.
func (e *FaultsError) addParsing(err error) {
	if err == nil {
		return
	}
	list := []error{err}
	var all env.AggregateError
	if errors.As(err, &all) {
		list = all.Errors
	}
	for _, err := range list {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			e.Faults = append(e.Faults, Fault{"the environment", "cannot be read", err.Error()})
			continue
		}
		for _, v := range variables() {
			if v.field == parse.Name {
				e.add(v.name, problem(parse), "")
			}
		}
	}
}

func problem(parse env.ParseError) string {
	switch parse.Type.Kind() {
	case reflect.Bool:
		return "is neither true nor false"
	case reflect.Int, reflect.Int32:
		if parse.Type == reflect.TypeFor[int]() || parse.Type == reflect.TypeFor[int32]() {
			return "is not a whole number of at most 2147483647"
		}
	case reflect.Float64:
		return "is not a number"
	case reflect.Int64:
		if parse.Type == reflect.TypeFor[int64]() {
			return "is not a whole number"
		}
	}
	if parse.Type.PkgPath() == "log/slog" {
		return "is not a level: debug, info, warn or error"
	}
	return parse.Err.Error() // of a type of ours
}
