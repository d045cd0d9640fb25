// Package llm is how models are reached: the catalogue of providers and models,
// the request as a client sent it, the provider's answer, and what it used.
//
// It speaks OpenAI's chat completion protocol. A request passes through as it
// came: the fields that decide model, length, number of answers and streaming
// are read and, where they must be, patched in place; every other byte is kept.
// The package knows no account and no price beyond the catalogue's text; whoever
// calls it decides who pays.
package llm
