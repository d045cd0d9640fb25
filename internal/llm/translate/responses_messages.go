package translate

import (
	"errors"
	"strconv"
	"strings"
)

// ResponsesToMessages translates a request of Responses into one of Messages, by way
// of chat completions. Errors: [*Error], whose path is one of the Responses request.
func ResponsesToMessages(body []byte, o Out) ([]byte, error) {
	r := responsesRequest{out: Out{MaxTokens: o.MaxTokens}, signed: true}
	chat, err := convert(body, &r)
	if err != nil {
		return nil, err
	}
	messages, err := ChatToMessages(chat, o)
	var refused *Error
	if errors.As(err, &refused) {
		return nil, r.renamed(refused)
	}
	return messages, err
}

// renamed says where in the Responses request a fault of the chat request lies.
func (r *responsesRequest) renamed(e *Error) *Error {
	param := e.Param
	for _, name := range [...]struct{ chat, responses string }{
		{"response_format.json_schema", "text.format"}, {"response_format", "text.format"},
		{"reasoning_effort", "reasoning.effort"}, {"max_tokens", "max_output_tokens"}, {"verbosity", "text.verbosity"},
	} {
		if rest, is := strings.CutPrefix(param, name.chat); is {
			param = name.responses + rest
			break
		}
	}
	if rest, is := strings.CutPrefix(param, "messages["); is {
		index, rest, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(index); err == nil && i < len(r.places) {
			param = r.places[i] + flat.Replace(rest)
		}
	}
	return &Error{Param: param, Message: strings.ReplaceAll(e.Message, "'"+e.Param+"'", "'"+param+"'")}
}

// flat takes out of a path what the items of Responses do not wrap their fields in.
var flat = strings.NewReplacer(".image_url.url", ".image_url", ".file.file_data", ".file_data")

// MessagesAnswerToResponses translates a whole answer of Messages into a response.
// Errors: [ErrBroken], [*ProviderError].
func MessagesAnswerToResponses(answer []byte, a Answer) ([]byte, error) {
	chat, err := MessagesAnswerToChat(answer, Answer{ID: a.ID, Model: a.Model, Created: a.Created})
	if err != nil {
		return nil, err
	}
	return ChatAnswerToResponses(chat, a)
}
