// Package talk is people's conversations with models: reading what they send, asking the
// model, showing its answer while it is written, and stopping, repeating and remembering it.
package talk
