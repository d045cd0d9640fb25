package talk

import "github.com/kikuai/kikuai/internal/llm"

const inlineBriefly = "Answer briefly, in a few sentences. The answer is read in a chat among people who did not see this instruction."

// inlinePrompt asks a question for an answer that others read along, as the asker wants
// to be answered.
func inlinePrompt(persona, question string) []llm.Message {
	system := inlineBriefly
	if persona != "" {
		system = persona + "\n\n" + system
	}
	return []llm.Message{{Role: "system", Content: system}, {Role: "user", Content: question}}
}
