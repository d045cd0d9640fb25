// Package llmsim is a scripted model provider that speaks OpenAI's wire
// protocol on real sockets: POST /v1/chat/completions, streamed and not, and
// GET /v1/models. Tests, benchmarks and `kikuai dev` call it in place of a
// provider, over the same HTTP that a provider would be called with.
//
// # What it answers
//
// A request's model name chooses its behaviour; ScriptFor lists the names
// (sim-instant, sim-stall, sim-cut, …). Any other name is the friendly default
// model, which echoes something of the last message and counts the turns that
// came with it. Tests that need more set a Script, for a model by Assign or for
// the next requests by Enqueue.
//
// # How it counts
//
// A token is a run of whitespace other than one plain space, or an optional
// plain space followed by a run of at most 16 letters, digits and marks, or of
// at most 4 other characters. A prompt costs 3 tokens, and each message 4 more
// than its text; images and sounds cost 85 each. Of a prompt of 1024 tokens or
// more, what precedes the last message counts as cached, rounded down to a
// multiple of 128. A completion costs exactly the tokens sent, one per chunk.
package llmsim
