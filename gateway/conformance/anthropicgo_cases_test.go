package conformance_test

import (
	"context"
	"errors"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/kikuai/kikuai/internal/llmsim"
)

func goMessage(model, text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: model, MaxTokens: 4096, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
}

func goMessageTools(model string) anthropic.MessageNewParams {
	p := goMessage(model, goCalls)
	for _, name := range []string{"get_weather", "get_time"} {
		p.Tools = append(p.Tools, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{Name: name, InputSchema: anthropic.ToolInputSchemaParam{Properties: goSchema()["properties"]}}})
	}
	return p
}

// messageMeaning is what a message comes to, whoever answered.
func messageMeaning(m anthropic.Message) any {
	all := []any{m.StopReason, m.Usage.InputTokens, m.Usage.OutputTokens}
	for _, b := range m.Content {
		all = append(all, b.Type, b.Text, b.Name)
		if len(b.Input) > 0 {
			all = append(all, b.Input)
		}
	}
	return all
}

// messageRefusal is the class of an error: the client's own type, and its status.
func messageRefusal(err error) (any, error) {
	var refused *anthropic.Error
	if errors.As(err, &refused) {
		return []any{"anthropic.Error", refused.StatusCode, refused.RequestID != ""}, nil
	}
	return nil, err
}

// gatherMessage reads a stream: its events, and what they add up to.
func gatherMessage(ctx context.Context, client anthropic.Client, p anthropic.MessageNewParams) (events []string, m anthropic.Message, err error) {
	stream := client.Messages.NewStreaming(ctx, p)
	for stream.Next() {
		event := stream.Current()
		events = append(events, event.RawJSON())
		if err := m.Accumulate(event); err != nil {
			return nil, m, errors.Join(err, stream.Close())
		}
	}
	return events, m, errors.Join(stream.Err(), stream.Close())
}

func anthropicGoCases(ctx context.Context, c *goClient) map[string]any {
	at := func(w way, more ...option.RequestOption) anthropic.Client {
		return anthropic.NewClient(append([]option.RequestOption{option.WithBaseURL(w.Anthropic), option.WithAPIKey(w.Key), option.WithMaxRetries(0)}, more...)...)
	}
	whole := func(p anthropic.MessageNewParams) goCase {
		return func(w way) (any, error) {
			client := at(w)
			got, err := client.Messages.New(ctx, p)
			if err != nil {
				return nil, err
			}
			return raw(got.RawJSON()), nil
		}
	}
	streamed := func(p anthropic.MessageNewParams) goCase {
		return func(w way) (any, error) {
			events, _, err := gatherMessage(ctx, at(w), p)
			return parts(events), err
		}
	}
	means := func(p anthropic.MessageNewParams) goCase {
		return func(w way) (any, error) {
			client := at(w)
			got, err := client.Messages.New(ctx, p)
			if err != nil {
				return nil, err
			}
			return messageMeaning(*got), nil
		}
	}
	gathered := func(p anthropic.MessageNewParams) goCase {
		return func(w way) (any, error) {
			_, got, err := gatherMessage(ctx, at(w), p)
			return messageMeaning(got), err
		}
	}
	refused := func(p anthropic.MessageNewParams, more ...option.RequestOption) goCase {
		return func(w way) (any, error) {
			client := at(w, more...)
			_, err := client.Messages.New(ctx, p)
			return messageRefusal(err)
		}
	}
	thinking := goMessage("claude-fast", goWords)
	thinking.Thinking = anthropic.ThinkingConfigParamOfEnabled(1024)
	warm := goMessage("claude-fast", goWords)
	warm.Temperature = anthropic.Float(0.5)
	warm.System = []anthropic.TextBlockParam{{Text: "Be kind."}}
	structured := goMessage("claude-fast", goWords)
	structured.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: goSchema()}
	vision := goMessage("claude-fast", "What?")
	vision.Messages[0].Content = append(vision.Messages[0].Content, anthropic.NewImageBlockBase64("image/png", goPixel))
	return map[string]any{
		"messages": whole(warm), "messages, streamed": streamed(warm), "tools in parallel": whole(goMessageTools("claude-fast")), "tools, streamed": streamed(goMessageTools("claude-fast")),
		"thoughts": whole(thinking), "thoughts, streamed": streamed(thinking), "JSON of a schema": whole(structured), "vision": whole(vision), "refusal": whole(goMessage("claude-refusal", "x")),
		"torn frames": streamed(goMessage("claude-torn", goWords)), "torn characters": streamed(goMessage("claude-torn-runes", goWords)), "lines ended by CR LF": streamed(goMessage("claude-crlf", goWords)),
		"count of tokens": goCase(func(w way) (any, error) {
			client := at(w)
			got, err := client.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{Model: "claude-fast", Messages: vision.Messages})
			if err != nil {
				return nil, err
			}
			return raw(got.RawJSON()), nil
		}),
		"error: key":           refused(goMessage("claude-fast", "x"), option.WithAPIKey("kk_1_nonsense")),
		"error: model":         refused(goMessage("claude-unknown", "x")),
		"error: request":       refused(anthropic.MessageNewParams{Model: "claude-fast", MaxTokens: 9, Messages: []anthropic.MessageParam{}}),
		"error: provider busy": refused(goMessage(c.told.Prefix+"-claude-busy", "x")),
		"error: no balance":    once{want: []any{"anthropic.Error", 402, true}, run: refused(goMessage("claude-fast", "x"), option.WithAPIKey(c.told.Poor))},
		"retries a 429 when told": once{want: "served", run: func(w way) (any, error) {
			kept := &answers{}
			client := at(w, option.WithAPIKey(c.told.Limited), option.WithMaxRetries(3), option.WithHTTPClient(&http.Client{Transport: kept}))
			for range 2 {
				if _, err := client.Messages.New(ctx, goMessage("claude-fast", "x")); err != nil {
					return nil, err
				}
			}
			return "served", kept.waited("anthropic-ratelimit-")
		}},
		"retries a 529": goCase(func(w way) (any, error) {
			c.enqueue(llmsim.Script{Status: 529})
			client := at(w, option.WithMaxRetries(2))
			got, err := client.Messages.New(ctx, goMessage(c.told.Prefix+"-claude-flaky", "x"))
			if err != nil {
				return nil, err
			}
			return messageMeaning(*got), nil
		}),
		"cross: messages":          means(goMessage("sim-fast", goWords)),
		"cross: messages streamed": gathered(goMessage("sim-fast", goWords)),
		"cross: tools":             means(goMessageTools("sim-fast")),
		"cross: tools streamed":    gathered(goMessageTools("sim-fast")),
	}
}
