package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const maxTries = 5 // holds that one ChatCall may come to use

// Complete answers a chat's message on the metered path. onText is given the text
// so far each time it grows; an error from it ends the call. Whatever way a call
// ends, the answer says what had come and what that cost.
//
// HoldID makes it repeatable: an attempt that died while its hold stood goes on
// under the same hold, and one whose hold was resolved gets a hold of its own. Where
// that hold was settled, the answer was paid for and lost on its way: then the house
// pays for another one, and the message is charged once.
// Errors as of Open and Run.
func (m *Meter) Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	request, err := llm.NewChatRequest(call)
	if err != nil {
		return llm.ChatAnswer{}, err
	}
	live, err := m.openChat(ctx, call, request)
	if err != nil {
		return llm.ChatAnswer{}, err
	}
	defer live.Close()
	var text strings.Builder
	receipt, err := live.Run(func(_ []byte, chunk llm.Chunk) error {
		if chunk.Content == "" {
			return nil
		}
		text.WriteString(chunk.Content)
		return onText(text.String())
	})
	return llm.ChatAnswer{
		Text:          text.String(),
		CostNano:      receipt.CostNano,
		AvailableNano: receipt.AvailableNano,
		Prompt:        receipt.Usage.Prompt,
		Completion:    receipt.Usage.Completion,
		Estimated:     receipt.Usage.Estimated,
		Finish:        receipt.Finish,
	}, err
}

func (m *Meter) openChat(ctx context.Context, call llm.ChatCall, request *llm.Request) (*Live, error) {
	c := Call{
		AccountID: call.AccountID, LimitScope: call.LimitScope, LimitID: call.LimitID,
		MaxOutput: call.MaxOutput, HoldID: call.HoldID, Source: billing.SourceTelegram, Request: request,
	}
	for try := 2; ; try++ {
		live, err := m.Open(ctx, c)
		if !errors.Is(err, billing.ErrHoldConflict) || call.HoldID == "" || try > maxTries {
			return live, err
		}
		c.HoldID = billing.HoldOfTry(call.HoldID, try)
		c.Gift = c.Gift || errors.Is(err, errPaid)
	}
}
