package llm

// Operation is what a request asks for. It implies the protocol that the client speaks.
type Operation uint8

// The operations. All but OpMessages and OpCountTokens are of OpenAI's protocol.
const (
	OpChat Operation = iota
	OpMessages
	OpCountTokens
	OpResponses
	OpEmbeddings
	OpImages
	OpTranscription
	OpSpeech
	operationCount
)

// operationNames are as the request log and traces call them.
var operationNames = [operationCount]string{
	OpChat: "chat", OpMessages: "messages", OpCountTokens: "count_tokens", OpResponses: "responses",
	OpEmbeddings: "embeddings", OpImages: "images", OpTranscription: "transcription", OpSpeech: "speech",
}

// paths are where a provider answers an operation, below its base_url. That of OpenAI's
// protocol ends in a version by custom, that of Anthropic's does not.
var paths = [operationCount]string{
	OpChat: "/chat/completions", OpMessages: "/v1/messages", OpCountTokens: "/v1/messages/count_tokens",
	OpResponses: "/responses", OpEmbeddings: "/embeddings", OpImages: "/images/generations",
	OpTranscription: "/audio/transcriptions", OpSpeech: "/audio/speech",
}

// offers are what the catalogue calls a model's ability to do an operation.
var offers = [operationCount]string{
	OpChat: OperationChat, OpMessages: OperationChat, OpCountTokens: OperationChat, OpResponses: OperationChat,
	OpEmbeddings: OperationEmbeddings, OpImages: OperationImages,
	OpTranscription: OperationTranscriptions, OpSpeech: OperationSpeech,
}

func (o Operation) String() string { return operationNames[o] }

// Offer is what a model must offer for the operation, see [Model.Offers].
func (o Operation) Offer() string { return offers[o] }

// Protocol is the one that clients speak who ask for the operation.
func (o Operation) Protocol() string {
	if o == OpMessages || o == OpCountTokens {
		return ProtocolAnthropic
	}
	return ProtocolOpenAI
}
