package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/kikuai/kikuai/internal/llm"
)

// keysLoaded is how many of an account's keys are read for all rows that ask for theirs.
const keysLoaded = 500

// graphRun answers one query: what pages of the API answer, cut to what is asked for.
type graphRun struct {
	server *Server
	ctx    context.Context
	v      viewer
	q      graphQuery
	keys   map[int64]gjson.Result // loaded once, for whichever row asks first
	out    []byte
}

// run is the data of the answer. Validation has seen to it that all fields are there and
// all arguments of their types.
func (s *Server) run(ctx context.Context, v viewer, q graphQuery) (json.RawMessage, error) {
	r := &graphRun{server: s, ctx: ctx, v: v, q: q}
	err := r.object(s.graph.schema.Query, q.operation.SelectionSet, gjson.Result{})
	return r.out, err
}

// object writes what is selected of an object.
func (r *graphRun) object(of *ast.Definition, selections ast.SelectionSet, value gjson.Result) error {
	r.out = append(r.out, '{')
	for i, field := range r.collect(nil, selections) {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = append(strconv.AppendQuote(r.out, field.Alias), ':')
		if field.Name == "__typename" {
			r.out = strconv.AppendQuote(r.out, of.Name)
			continue
		}
		member, err := r.resolve(of, field, value)
		if err == nil {
			err = r.complete(field.Definition.Type, field, member)
		}
		if err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// complete writes a field's value.
func (r *graphRun) complete(as *ast.Type, field *ast.Field, value gjson.Result) error {
	switch {
	case !value.Exists() || value.Type == gjson.Null:
		r.out = append(r.out, "null"...)
		return nil
	case as.Elem != nil:
		r.out = append(r.out, '[')
		for i, item := range value.Array() {
			if i > 0 {
				r.out = append(r.out, ',')
			}
			if err := r.complete(as.Elem, field, item); err != nil {
				return err
			}
		}
		r.out = append(r.out, ']')
		return nil
	}
	if of := r.server.graph.schema.Types[as.NamedType]; of.Kind == ast.Object {
		return r.object(of, field.SelectionSet, value)
	}
	r.out = append(r.out, value.Raw...)
	return nil
}

// collect are the fields that are selected, those of one name as one. All types here are
// objects, so a fragment on the field's type always is for it.
func (r *graphRun) collect(fields []*ast.Field, selections ast.SelectionSet) []*ast.Field {
	for _, selection := range selections {
		switch s := selection.(type) {
		case *ast.FragmentSpread:
			if r.wanted(s.Directives) {
				fields = r.collect(fields, s.Definition.SelectionSet)
			}
		case *ast.InlineFragment:
			if r.wanted(s.Directives) {
				fields = r.collect(fields, s.SelectionSet)
			}
		case *ast.Field:
			if r.wanted(s.Directives) {
				fields = merge(fields, s)
			}
		}
	}
	return fields
}

func merge(fields []*ast.Field, s *ast.Field) []*ast.Field {
	for i, known := range fields {
		if known.Alias == s.Alias {
			both := *known
			both.SelectionSet = append(append(ast.SelectionSet{}, known.SelectionSet...), s.SelectionSet...)
			fields[i] = &both
			return fields
		}
	}
	return append(fields, s)
}

// wanted obeys @skip and @include.
func (r *graphRun) wanted(directives ast.DirectiveList) bool {
	for name, unless := range map[string]bool{"skip": true, "include": false} {
		if d := directives.ForName(name); d != nil && d.ArgumentMap(r.q.variables)["if"] == unless {
			return false
		}
	}
	return true
}

// resolve is a field's value: of the pages behind it, or of the object that was read.
func (r *graphRun) resolve(of *ast.Definition, field *ast.Field, value gjson.Result) (gjson.Result, error) {
	switch of.Name {
	case "Query":
		if field.Name == "products" {
			return asJSON(r.server.offer(r.v.models), nil)
		}
		return asJSON(balanceOf(r.v.Visit), nil)
	case "Account":
		if page := r.page(field); page != nil {
			return asJSON(page())
		}
	case "Row", "Call", "Transaction":
		if field.Name == "key" {
			return r.key(value.Get("key_id").Int())
		}
	}
	return value.Get(field.Name), nil
}

// page is how a field of the account is read; nil: it was read with the account.
func (r *graphRun) page(field *ast.Field) func() (any, error) {
	arguments := field.ArgumentMap(r.q.variables)
	whole := func(read func() (any, error)) func() (any, error) {
		if r.v.own != nil {
			return func() (any, error) { return nil, errNotWhole }
		}
		return read
	}
	account := r.v.AccountID
	switch field.Name {
	case "usage":
		return func() (any, error) { return r.usage(arguments) }
	case "calls":
		return func() (any, error) { return r.calls(arguments) }
	case "transactions":
		return whole(func() (any, error) {
			most, err := graphFirst(arguments)
			if err != nil {
				return nil, err
			}
			return r.server.transactionsPage(r.ctx, account, most, arguments["calls"] != false, textOf(arguments["after"]))
		})
	case "keys":
		return whole(func() (any, error) {
			most, err := graphFirst(arguments)
			if err != nil {
				return nil, err
			}
			return r.server.keysOf(r.ctx, account, most)
		})
	case "settings":
		return whole(func() (any, error) {
			settings, err := r.server.account.Settings.Read(r.ctx, account)
			return settingsJSON(settings), err
		})
	case "organisation":
		return whole(func() (any, error) { return r.server.organisationOf(r.ctx, account) })
	}
	return nil
}

// usage is what a span came to. The same question of the same viewer is answered from the
// cache for a minute.
func (r *graphRun) usage(arguments map[string]any) (any, error) {
	read := func(ctx context.Context) ([]byte, error) {
		p, err := r.server.readSpan(ctx, r.v, func(name string) string { return textOf(arguments[name]) })
		if err != nil {
			return nil, err
		}
		var names []string
		list, _ := arguments["group_by"].([]any)
		for _, one := range list {
			names = append(names, textOf(one))
		}
		g, err := groupingOf(strings.Join(names, ","), p)
		if err != nil {
			return nil, err
		}
		answer, err := r.server.consumed(ctx, r.v, p, g)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	}
	if r.server.account.Spent == nil {
		text, err := read(r.ctx)
		return json.RawMessage(text), err
	}
	question, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	text, err := r.server.account.Spent.Fetch(r.ctx, fmt.Sprintf("%d:%s:%s", r.v.AccountID, ownOf(r.v), hashOf(string(question))), read)
	return json.RawMessage(text), err
}

func ownOf(v viewer) string {
	if v.own == nil {
		return "all"
	}
	return number(*v.own)
}

func (r *graphRun) calls(arguments map[string]any) (any, error) {
	p, err := r.server.readSpan(r.ctx, r.v, func(name string) string { return textOf(arguments[name]) })
	if err != nil {
		return nil, err
	}
	most, err := graphFirst(arguments)
	if err != nil {
		return nil, err
	}
	return r.server.callsPage(r.ctx, r.v, p, most, textOf(arguments["after"]))
}

// key is the key of an id; nothing where there is none, or the viewer may not see it. All
// are read at once when the first row asks, so that a list costs one look and not one for
// each of its rows.
func (r *graphRun) key(id int64) (gjson.Result, error) {
	if r.v.own != nil || id == 0 {
		return gjson.Result{}, nil
	}
	if r.keys == nil {
		keys, err := r.server.keysOf(r.ctx, r.v.AccountID, keysLoaded)
		if err != nil {
			return gjson.Result{}, err
		}
		r.keys = make(map[int64]gjson.Result, len(keys))
		for _, key := range keys {
			if r.keys[key.ID], err = asJSON(key, nil); err != nil {
				return gjson.Result{}, err
			}
		}
	}
	return r.keys[id], nil
}

func asJSON(answer any, err error) (gjson.Result, error) {
	if err != nil {
		return gjson.Result{}, err
	}
	text, err := json.Marshal(answer)
	return gjson.ParseBytes(text), err
}

// textOf is an argument as a parameter of a page has it.
func textOf(argument any) string {
	switch a := argument.(type) {
	case nil:
		return ""
	case string:
		return a
	case float64:
		return strconv.FormatFloat(a, 'f', -1, 64)
	}
	return fmt.Sprint(argument)
}

// graphFirst is how many items are asked for. *llm.RequestError.
func graphFirst(arguments map[string]any) (int, error) {
	n, ok := firstOf(arguments)
	if !ok || n > pageMost {
		return 0, &llm.RequestError{Param: "first", Message: fmt.Sprintf(`"first" is a number from 1 to %d.`, pageMost)}
	}
	return n, nil
}
