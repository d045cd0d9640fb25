// Package translate turns the requests and answers of one model protocol into those
// of another. It consists of functions over bytes: nothing here opens a connection,
// reads a clock or keeps a state beyond one answer.
//
// The hub is OpenAI's chat completions:
//
//	request        ChatToMessages     MessagesToChat          ResponsesToChat
//	whole answer   MessagesAnswerToChat  ChatAnswerToMessages  ChatAnswerToResponses
//	stream         NewChatStream         NewMessagesStream     NewResponsesStream
//
// A Responses client reaches a Messages provider by way of chat completions
// ([ResponsesToMessages], [MessagesAnswerToResponses], [NewChain]).
//
// # Requests
//
// What has no counterpart in the other protocol is refused with an [*Error] that names
// the field, never dropped, unless it stands in the table of harmless hints (README.md).
// Field names that stand twice in one object are refused, as are invalid UTF-8 and JSON
// nested too deeply. Texts, schemas, tool arguments and numbers keep their bytes. A
// translated request is ready to be sent: model, length limit and the wish for a
// stream's usage are in it, see [Out].
//
// # Answers
//
// A whole answer is translated with what the call is known to have cost, or without
// ([Answer.Final] left zero), for the caller to add. Errors: [ErrBroken] for what is no
// answer, [*ProviderError] for an error that came with status 200.
//
// # Streams
//
// A stream takes the data of the provider's events, one at a time, and appends whole
// server-sent events of the client's protocol:
//
//	Event(to, data)    zero or more events; ErrBroken, *ProviderError
//	Close(to, final)   the events that end a complete answer, with usage and cost,
//	                   to the last byte ("data: [DONE]" where the protocol has it);
//	                   it may be called again with another cost
//
// After Close a stream takes no more events. Its events are whole, so comments (": ping"),
// Messages' ping events, and an error in place of the end may stand after any of them; the
// events of Responses are numbered, and Next tells an error's number.
package translate
