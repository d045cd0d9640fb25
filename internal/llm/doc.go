// Package llm is how models are reached: the catalogue of providers and models,
// the request as a client sent it, the provider's answer, and what it used.
//
// It speaks the protocols of OpenAI and of Anthropic. A request passes through as it
// came where client and provider speak the same: the fields that decide model, length,
// number of answers and streaming are read and, where they must be, patched in place;
// every other byte is kept. Where they do not, package translate does it. The package
// knows no account and no price beyond the catalogue's text; whoever calls it decides
// who pays.
//
// # A call
//
//	request, err := ParseChat(body)                    // one Parse… per Operation
//	…                                                  // hold the worst case
//	out, rendition, err := request.For(deployment, limit, transcript)
//	stream, err := client.Stream(ctx, out)             // or client.Complete(ctx, out, rendition)
//	event, err := stream.Next()
//	chunk, err := rendition.Event(event)               // chunk.Raw is the client's
//	…
//	usage := rendition.Reported(mostPrompt, mostOutput)
//	…                                                  // settle
//	rest := rendition.Close(nil, final)                // or Answer, or Fail
//
// For may be called again, for another attempt at another deployment.
//
// # Another operation
//
// Each [Operation] has a type that embeds [Request], reads the body (see [object] and
// [locate] for JSON) and is the Request's form: it bounds and estimates the prompt, and
// its method send makes the [Outbound] for a deployment, by [Deployment.outbound] with
// the operation that the deployment is asked for, and the [Rendition] of the answer.
// What a deployment's protocol cannot express, send refuses by a [RequestError]. A
// stated length goes into MaxOutput and MaxField; what has no answer in tokens states
// neither, and N stays 1.
//
// A Rendition is a reading and a writing. A reading understands a provider's protocol:
// one type each, which embeds heard, keeps an answer's text on the [Transcript] as it
// comes, notes finish and ended, and remembers the usage. A writing is the client's
// protocol: the reading itself where both are the same, or a translation. What a client
// may see only with the cost in it, such as the event that tells the usage, is held back
// by passed and written by closing, which may be called more than once.
//
// In package gateway a route of a new operation is one line of the table: its path, the
// shape of its errors, and Server.paid with the function that parses it.
package llm
