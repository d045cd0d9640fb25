// Package gateway is the HTTP API for key holders, and the one metered path to a
// model that it shares with the chat.
//
// [Meter] holds the worst case of a call's price, calls the model, and settles
// what was used; nothing reaches a provider in another way. [Server] is the API
// in front of it: the protocols of OpenAI and of Anthropic under /v1, our own under /api/v1.
//
// A call costs two round trips to Redis. The first, admit.lua, decides the API
// key, the request limit and the hold at once, all or nothing: it is composed of
// functions that ratelimit and billing export. The second is billing's settle.
package gateway
