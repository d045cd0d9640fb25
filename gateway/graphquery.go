package gateway

import (
	"crypto/sha256"
	_ "embed" // the schema
	"encoding/hex"
	"fmt"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	gqlparse "github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

const (
	graphDepth  = 10
	graphCost   = 1000
	graphText   = 16 << 10 // bytes of a query
	graphTokens = 2000     // of it, before anything else looks at it
	graphSpread = 500      // fields and fragments that its parts come to, before it is validated
	graphPage   = 20       // items that a list is reckoned as where nothing says how many
)

//go:embed graph.graphqls
var graphSchema string

// graph reads queries about an account.
type graph struct {
	schema *ast.Schema
	rules  *rules.Rules
}

func newGraph() (*graph, error) {
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "graph.graphqls", Input: graphSchema})
	if err != nil {
		return nil, fmt.Errorf("gateway: graph.graphqls: %w", err)
	}
	return &graph{schema: schema, rules: rules.NewDefaultRules()}, nil
}

// graphQuery is a query that may be answered.
type graphQuery struct {
	operation *ast.OperationDefinition
	variables map[string]any
}

// graphFault is what is wrong with a query, as GraphQL says it.
type graphFault struct {
	Message    string         `json:"message"`
	Path       []any          `json:"path,omitempty"`
	Extensions map[string]any `json:"extensions"`
}

func faultOf(code, message string) *graphFault {
	return &graphFault{Message: message, Extensions: map[string]any{"code": code}}
}

// parse reads a query and holds it against schema, depth and cost. nil: nothing is wrong.
func (g *graph) parse(text, operation string, variables map[string]any) (q graphQuery, fault *graphFault) {
	if len(text) > graphText {
		return q, faultOf("QUERY_TOO_COMPLEX", fmt.Sprintf("The query is longer than %d bytes. Send the values that it is about as variables.", graphText))
	}
	document, err := gqlparse.ParseQueryWithTokenLimit(&ast.Source{Input: text}, graphTokens)
	if err != nil {
		return q, faultOf("GRAPHQL_PARSE_FAILED", faultText(err))
	}
	// Before validation, which compares fields of one name with each other, in pairs, within
	// all that there is: in operations that are not asked for and in fragments, too.
	if spreadAll(document) > graphSpread {
		return q, faultOf("QUERY_TOO_COMPLEX", fmt.Sprintf("The query's operations and fragments come to more than %d fields.", graphSpread))
	}
	if faults := validator.ValidateWithRules(g.schema, document, g.rules); len(faults) > 0 {
		return q, faultOf("GRAPHQL_VALIDATION_FAILED", faults[0].Message)
	}
	if q.operation = document.Operations.ForName(operation); q.operation == nil {
		return q, faultOf("BAD_USER_INPUT", `"operationName" names one of the query's operations, where it has several.`)
	}
	if q.operation.Operation != ast.Query {
		return q, faultOf("BAD_USER_INPUT", "There are queries here, and no mutations or subscriptions: /api/v1 changes things.")
	}
	if q.variables, err = validator.VariableValues(g.schema, q.operation, variables); err != nil {
		return q, faultOf("BAD_USER_INPUT", faultText(err))
	}
	depth, cost, hidden := q.measure(q.operation.SelectionSet, 1)
	switch {
	case hidden:
		return q, faultOf("INTROSPECTION_DISABLED", "Introspection is off. The schema is at /graphql/schema.")
	case depth > graphDepth:
		return q, faultOf("QUERY_TOO_DEEP", fmt.Sprintf("The query is more than %d levels deep.", graphDepth))
	case cost > graphCost:
		return q, faultOf("QUERY_TOO_COMPLEX", fmt.Sprintf("The query costs %d points, and may cost %d: a field is one, and a list as many times its fields as it has items. Ask for fewer, by \"first\".", cost, graphCost))
	}
	return q, nil
}

// spreadAll counts what all of a document comes to, as far as one more than graphSpread.
func spreadAll(document *ast.QueryDocument) (count int) {
	for _, o := range document.Operations {
		count = spread(document, o.SelectionSet, count+1)
	}
	for _, f := range document.Fragments {
		count = spread(document, f.SelectionSet, count+1)
	}
	return count
}

// spread adds the fields and fragments that a selection comes to, as far as one more than
// graphSpread: so fragments that hold themselves, or each other twice, end there too.
func spread(document *ast.QueryDocument, selections ast.SelectionSet, count int) int {
	for _, selection := range selections {
		if count++; count > graphSpread {
			return count
		}
		switch s := selection.(type) {
		case *ast.FragmentSpread:
			if f := document.Fragments.ForName(s.Name); f != nil {
				count = spread(document, f.SelectionSet, count)
			}
		case *ast.InlineFragment:
			count = spread(document, s.SelectionSet, count)
		case *ast.Field:
			count = spread(document, s.SelectionSet, count)
		}
	}
	return count
}

func faultText(err error) string {
	if fault, is := err.(*gqlerror.Error); is { //nolint:errorlint // it is never wrapped
		return fault.Message
	}
	return "The query cannot be read."
}

// measure is how deep a selection is, what it costs, and whether it asks for the schema. It
// ends where either is too much, and validation has ended fragments that hold themselves.
func (q graphQuery) measure(selections ast.SelectionSet, level int) (depth, cost int, hidden bool) {
	if depth = level; level > graphDepth {
		return depth, 0, false
	}
	add := func(d, c int, h bool) { depth, cost, hidden = max(depth, d), min(cost+c, 1<<30), hidden || h }
	for _, selection := range selections {
		if cost > graphCost {
			return depth, cost, hidden
		}
		switch s := selection.(type) {
		case *ast.FragmentSpread:
			add(q.measure(s.Definition.SelectionSet, level))
		case *ast.InlineFragment:
			add(q.measure(s.SelectionSet, level))
		case *ast.Field:
			if s.Name == "__schema" || s.Name == "__type" {
				return depth, cost, true
			}
			add(depth, 1, false)
			if len(s.SelectionSet) > 0 {
				d, c, h := q.measure(s.SelectionSet, level+1)
				add(d, min(c, 1<<20)*q.items(s), h)
			}
		}
	}
	return depth, cost, hidden
}

// items are how many of a field's value are reckoned with.
func (q graphQuery) items(f *ast.Field) int {
	arguments := f.ArgumentMap(q.variables)
	if _, paged := arguments["first"]; paged {
		n, _ := firstOf(arguments)
		return n
	}
	if f.Definition.Type.Elem == nil || paged(f.ObjectDefinition) {
		return 1
	}
	return graphPage
}

// paged says that the type is a page, whose length was reckoned with where it was asked for.
func paged(t *ast.Definition) bool { return t != nil && t.Fields.ForName("next_cursor") != nil }

// firstOf is how many items are asked for.
func firstOf(arguments map[string]any) (n int, ok bool) {
	switch value := arguments["first"].(type) {
	case int64:
		n = int(max(0, min(value, 1<<20)))
	case int:
		n = max(0, min(value, 1<<20))
	case float64:
		n = int(max(0, min(value, 1<<20)))
	default:
		return graphPage, false
	}
	return n, n > 0
}

// hashOf names a query to those that were sent before.
func hashOf(query string) string {
	sum := sha256.Sum256([]byte(query))
	return hex.EncodeToString(sum[:])
}
