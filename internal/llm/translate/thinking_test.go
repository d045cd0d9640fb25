package translate

import "testing"

// TestThinkingByName: models of all generations, by the names that providers give them.
func TestThinkingByName(t *testing.T) {
	for model, want := range map[string]Thinking{
		"claude-2.1": ThinkingNone, "claude-instant-1.2": ThinkingNone,
		"claude-3-opus-20240229": ThinkingNone, "claude-3-5-sonnet-latest": ThinkingNone, "anthropic/claude-3.5-haiku": ThinkingNone,
		"claude-3-7-sonnet-20250219": ThinkingBudget, "anthropic/claude-3.7-sonnet": ThinkingBudget,
		"claude-sonnet-4": ThinkingBudget, "claude-opus-4-20250514": ThinkingBudget, "claude-sonnet-4-0": ThinkingBudget,
		"claude-sonnet-4@20250514": ThinkingBudget, "claude-opus-4-1-20250805": ThinkingBudget, "claude-opus-4.1": ThinkingBudget,
		"claude-haiku-4-5": ThinkingBudget, "claude-sonnet-4-5-20250929": ThinkingBudget, "claude-opus-4-5-20251101": ThinkingBudget,
		"claude-opus-4-6": ThinkingAdaptive, "claude-sonnet-4-6": ThinkingAdaptive, "claude-opus-4-8": ThinkingAdaptive,
		"claude-opus-5": ThinkingAdaptive, "claude-haiku-5-5": ThinkingAdaptive, "claude-fable-5-1": ThinkingAdaptive,
	} {
		if got := ThinkingByName.of(model); got != want {
			t.Errorf("%s thinks in way %d, want %d", model, got, want)
		}
	}
	if ThinkingBudget.of("claude-opus-5") != ThinkingBudget {
		t.Error("what the caller says does not count")
	}
}

func TestLaterInstructionsByName(t *testing.T) {
	for model, take := range map[string]bool{
		"claude-2.1": false, "claude-instant-1.2": false, "claude-3-opus-20240229": false, "claude-3-5-sonnet-latest": false,
		"claude-opus-4-20250514": false, "claude-sonnet-4@20250514": false, "claude-haiku-4-5": false, "claude-opus-4.7": false, "claude-mythos-preview": false,
		"claude-opus-4-8": true, "anthropic/claude-opus-4.8": true, "us.anthropic.claude-opus-4-8-v1:0": true, "claude-opus-5": true,
		"claude-sonnet-5": true, "claude-haiku-5-5": true, "claude-fable-5-1": true, "claude-mythos-5": true, "claude-opus-10": true,
		"gpt-5": false,
	} {
		if takesLater.MatchString(model) != take {
			t.Errorf("%s: takes later instructions is %t", model, !take)
		}
	}
}

func TestFormatByName(t *testing.T) {
	for model, without := range map[string]bool{
		"claude-3-7-sonnet-latest": true, "claude-opus-4-20250514": true, "claude-sonnet-4-0": true,
		"claude-opus-4-1-20250805": false, "claude-haiku-4-5": false, "claude-sonnet-4-6": false, "claude-opus-5": false,
	} {
		if withoutFormat.MatchString(model) != without {
			t.Errorf("%s: without a format is %t", model, !without)
		}
	}
}
