//go:build prove

package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// graphWithin is how long any document may take until it is refused or known to be sound.
const graphWithin = 100 * time.Millisecond

// TestProveGraphBombs: whatever is sent as a query is read or refused at once: documents
// made to be dear, as large as is taken, and ones put together by chance.
func TestProveGraphBombs(t *testing.T) {
	g, err := newGraph()
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(7, 11))
	documents := graphBombs()
	for range 2000 {
		documents = append(documents, randomGraph(dice))
	}
	took := make([]time.Duration, len(documents))
	sound := 0
	for i, text := range documents {
		began := time.Now()
		_, fault := g.parse(text, "", nil)
		if took[i] = time.Since(began); took[i] > graphWithin {
			t.Errorf("%s until %+v: %.200s", took[i], fault, text)
		}
		if fault == nil {
			sound++
		}
	}
	slices.Sort(took)
	n := len(took)
	t.Logf("graph bombs: %d documents, %d of them sound: p50 %s, p99 %s, at most %s", n, sound, took[n/2], took[n*99/100], took[n-1])
}

// graphBombs are documents just below each bound.
func graphBombs() []string {
	fit := func(part string, n int) string { return strings.Repeat(part, min(n, (graphText-200)/len(part))) }
	chain := "{ account { ...f0 } }"
	for i := range 8 {
		chain += fmt.Sprintf(" fragment f%d on Account { ...f%d ...f%[2]d account_id }", i, i+1)
	}
	chain += " fragment f8 on Account { account_id }"
	pairs := "{ account { "
	for range 20 {
		pairs += "usage { " + strings.Repeat("tz ", 22) + "} "
	}
	variables, values := "query(", "{ account { "
	for i := range 190 {
		variables += fmt.Sprintf("$v%d: Int ", i)
		values += fmt.Sprintf("a%d: keys(first: $v%d) { id } ", i, i)
	}
	return []string{
		chain, pairs + "} }", variables + ") " + values + "} }",
		"{ account { " + fit("account_id ", graphSpread-3) + "} }",
		"{ account { " + fit("x: account_id ", graphSpread-3) + "} }",
		"{ account { " + fit("nonesuch ", graphSpread-3) + "} }",
		"{ account { " + fit(strings.Repeat("n", 4000)+" ", 4) + "} }",
		"{ account { account_id " + fit("@skip(if: true) ", 400) + "} }",
		"{ account { keys(" + fit("first: 1 ", 600) + ") { id } } }",
		"{ account { usage(group_by: [" + fit("day ", 1900) + "]) { tz } } }",
		"{ account { usage(group_by: " + fit("[", 900) + fit("]", 900) + ") { tz } } }",
		fit("{ account { ", 490) + fit("} ", 490),
		fit("query { account { account_id } } ", 160),
		"{ account { account_id } } " + fit("fragment a on Nonesuch { x } ", 200),
		"{ account { " + fit("... on Account { account_id } ", 240) + "} }",
	}
}

// randomGraph is operations, fragments and fields by chance, many of them wrong.
func randomGraph(dice *rand.Rand) string {
	fields := []string{"account_id", "available_usd", "nonesuch", "__typename", "usage { tz total { calls } }", "a: account_id", "a: available_usd"}
	parts := 1 + dice.IntN(12)
	var text strings.Builder
	selection := func() {
		for range 1 + dice.IntN(60) {
			if dice.IntN(3) == 0 {
				fmt.Fprintf(&text, "...f%d ", dice.IntN(parts))
			} else {
				text.WriteString(fields[dice.IntN(len(fields))] + " ")
			}
		}
	}
	text.WriteString("{ account { ")
	selection()
	text.WriteString("} } ")
	for i := range parts {
		fmt.Fprintf(&text, "fragment f%d on Account { ", i)
		selection()
		text.WriteString("} ")
	}
	return text.String()
}
