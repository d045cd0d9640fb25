package llm

import (
	"fmt"
	"testing"
)

// A stream is whole once all of its answers have ended, each by its number.
func TestAnswersEnd(t *testing.T) {
	for _, c := range []struct {
		n    int64
		ends []int // numbers of answers that end, in turn
		when int   // how many of these it takes; 0: it is never whole
	}{
		{0, []int{0}, 1}, {1, []int{0}, 1}, {1, []int{3}, 1},
		{2, []int{0}, 0}, {2, []int{1}, 0}, {2, []int{0, 0, 0}, 0}, {2, []int{0, 1}, 2}, {2, []int{1, 1, 0}, 3},
		{3, []int{2, 0, 1}, 3}, {3, []int{2, 0, 2}, 0},
	} {
		a := &chatAnswer{heard: heard{text: NewTranscript(new(Counter))}, n: c.n}
		for i, index := range c.ends {
			if _, err := a.event(fmt.Appendf(nil, `{"choices":[{"finish_reason":"stop","index":%d,"delta":{}}]}`, index)); err != nil {
				t.Fatal(err)
			}
			if want := c.when > 0 && i+1 >= c.when; a.ended != want || a.finish != FinishStop {
				t.Errorf("%d answers, ends %v: after %d whole is %v", c.n, c.ends, i+1, a.ended)
			}
		}
	}
}
