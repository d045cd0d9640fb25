// Package llmsim is a scripted model provider that speaks OpenAI's and Anthropic's
// wire protocols on real sockets: chat completions, responses, embeddings, image
// generation, transcription and speech of the one, messages and their token count
// of the other, and the list of models. Tests, benchmarks and `kikuai dev` call it
// in place of a provider, over the same HTTP that a provider would be called with.
//
// # What it answers
//
// A request's model name chooses its behaviour; ScriptFor lists the names
// (sim-instant, sim-stall, sim-cut, …). Any other name is the friendly default
// model, which echoes something of the last message and counts the turns that
// came with it. It calls the tools that the user's last message names, or that it
// is told to call, with arguments that satisfy their schema, and then speaks of
// what they answered; asked for JSON of a schema, it answers with such. Tests that
// need more set a Script, for a model by Assign or for the next requests by Enqueue.
// The same scripts work in every protocol.
//
// # How it counts
//
// A token is a run of whitespace other than one plain space, or an optional
// plain space followed by a run of at most 16 letters, digits and marks, or of
// at most 4 other characters. A prompt costs 3 tokens, each message 4 more than its
// text, and each tool as much as its name, description and schema; images and
// sounds cost 85 each. An answer costs exactly the tokens sent, one per event, be
// they text, thoughts or arguments.
//
// Of a chat's prompt of 1024 tokens or more, what precedes the last message counts
// as cached, rounded down to a multiple of 128. Of a prompt in Anthropic's protocol
// what is marked with cache_control counts from 1024 tokens on: up to the last mark
// before the newest message it is read, and from there to the last mark of all it is
// written.
package llmsim
