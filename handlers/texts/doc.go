// Package texts holds what the bot says, in every language it speaks.
//
// Each language has a folder with one YAML file per area; a file is a flat map from keys
// to texts with {placeholders}:
//
//	balance.now: "Balance: {amount}"
//	usage.calls.one: "{n} call"
//	usage.calls.other: "{n} calls"
//
// A [Book] is all of them; a [Voice] speaks one language:
//
//	voice.Say("balance.now", "amount", texts.Dollars(1_230_000_000))
//	voice.Count("usage.calls", 17)
//
// Tests hold the languages to the same keys and placeholders, and the keys to the code
// that says them. To add a text, write it in all six folders; keys are written as literals
// where they are said, so that the test finds them.
package texts
