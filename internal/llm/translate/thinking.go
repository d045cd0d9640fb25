package translate

import (
	"regexp"

	"github.com/tidwall/gjson"
)

// Thinking is how a model that speaks Messages is asked to think.
type Thinking int

// The ways. Models before Claude 4.6 take a budget of tokens, later ones an effort.
const (
	ThinkingByName   Thinking = iota // as the model's name tells
	ThinkingNone                     // the model cannot
	ThinkingBudget                   // {"type":"enabled","budget_tokens":…}
	ThinkingAdaptive                 // {"type":"adaptive"} and output_config.effort
)

var (
	withoutThinking = regexp.MustCompile(`claude-(2|instant|3-(opus|sonnet|haiku)|3[.-]5)`)
	withBudget      = regexp.MustCompile(`claude-(3[.-]7|(opus|sonnet|haiku)-4([.-][015])?([@-](20\d{6}|latest).*)?$)`)
	takesLater      = regexp.MustCompile(`claude-[a-z]+-(4[.-]([89]|\d\d)|[5-9]|\d\d)\b`) // instructions after the conversation has begun
	withoutFormat   = regexp.MustCompile(`claude-(2|instant|3|(opus|sonnet)-4([.-]0)?([@-](20\d{6}|latest).*)?$)`)
)

func (t Thinking) of(model string) Thinking {
	switch {
	case t != ThinkingByName:
		return t
	case withoutThinking.MatchString(model):
		return ThinkingNone
	case withBudget.MatchString(model):
		return ThinkingBudget
	}
	return ThinkingAdaptive
}

const leastBudget = 1024 // tokens; Anthropic's own bound

// budgets are the tokens that stand for an effort where a budget is asked, and the
// other way round: the least effort whose budget suffices.
var budgets = [...]struct {
	effort string
	tokens int64
}{
	{"minimal", 1024}, {"low", 2048}, {"medium", 8192}, {"high", 16384}, {"xhigh", 32768}, {"max", 65536},
}

func budgetOf(effort string) int64 {
	for _, b := range budgets {
		if b.effort == effort {
			return b.tokens
		}
	}
	return 0
}

// effortOf has no more than "high" to offer, which is what every reasoning model knows.
func effortOf(budget int64) string {
	for _, b := range budgets[1:3] {
		if budget <= b.tokens {
			return b.effort
		}
	}
	return "high"
}

// think turns an effort into what the model takes. maxTokens is the answer's length,
// of which a budget is a part. It says whether the model will think.
func (r *chatRequest) think(effort gjson.Result, maxTokens int64) (bool, *Error) {
	if !given(effort) {
		return false, nil
	}
	if err := oneOf(effort, "none", "minimal", "low", "medium", "high", "xhigh", "max"); err != nil {
		return false, err
	}
	if given(r.thinking) {
		return false, fault("cannot be given together with 'thinking'")
	}
	way := r.out.Thinking.of(r.modelName())
	switch {
	case effort.Str == "none":
		if way != ThinkingNone {
			r.thinkingRaw = `{"type":"disabled"}`
		}
		return false, nil
	case way == ThinkingNone:
		return false, fault("cannot be used with this model: it does not think before it answers")
	case way == ThinkingAdaptive:
		r.thinkingRaw = `{"type":"adaptive"}`
		r.effort = effort.Str
		if r.effort == "minimal" {
			r.effort = "low"
		}
		return true, nil
	case r.unsigned:
		// Such a model goes on thinking only after its own signed thinking, which
		// clients of chat completions do not keep: it ends this turn without.
		return false, nil
	}
	if maxTokens <= leastBudget {
		return false, fault("needs an answer of more than %d tokens, of which thinking is a part: allow more, or leave it out", leastBudget)
	}
	var w writer
	w.typed("enabled")
	w.intField("budget_tokens", min(budgetOf(effort.Str), max(leastBudget, maxTokens/2)))
	w.close('}')
	r.thinkingRaw = string(w.b)
	return true, nil
}
