package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const maxTries = 16 // holds that one ChatCall or HearCall may come to use

// Complete answers a chat's message on the metered path. onText is given the text
// so far each time it grows; an error from it ends the call. Whatever way a call
// ends, the answer says what had come and what that cost.
//
// HoldID makes it repeatable: an attempt that died while its hold stood goes on
// under the same hold, and one whose hold was resolved gets a hold of its own. Where
// that hold was settled, the answer was paid for and lost on its way: then the house
// pays for another one, and the message is charged once.
// Errors as of Open and Run; billing.ErrKeyUnknown where the group's key is no more.
func (m *Meter) Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error) {
	request, err := llm.NewChatRequest(call)
	if err != nil {
		return llm.ChatAnswer{}, err
	}
	key, err := m.groupKey(call.AccountID, call.KeyID)
	if err != nil {
		return llm.ChatAnswer{}, err
	}
	c := chatCall(call, request)
	c.Key = key
	live, err := m.openNamed(ctx, c)
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

func chatCall(call llm.ChatCall, request *llm.Request) Call {
	return Call{
		AccountID: call.AccountID, LimitScope: call.LimitScope, LimitID: call.LimitID,
		MaxOutput: call.MaxOutput, HoldID: call.HoldID, Source: billing.SourceTelegram, Request: request,
	}
}

// groupKey is the key that a group's questions are counted on; nil: there is none, and the
// account itself pays. billing.ErrKeyUnknown.
func (m *Meter) groupKey(account, key int64) (*billing.PresentedKey, error) {
	switch {
	case key == 0:
		return nil, nil
	case m.groups == nil: // without its key, a call would be without its cap
		return nil, billing.ErrKeyUnknown
	}
	own := m.groups.OfGroup(account, key)
	return &own, nil
}

// Hear writes down what a sound file says, on the metered path. It is repeatable as
// Complete is. Errors as of Open, and as Complete's of the group's key.
func (m *Meter) Hear(ctx context.Context, call llm.HearCall) (llm.Heard, error) {
	request, err := llm.NewTranscriptionRequest(call)
	if err != nil {
		return llm.Heard{}, err
	}
	key, err := m.groupKey(call.AccountID, call.KeyID)
	if err != nil {
		return llm.Heard{}, err
	}
	live, err := m.openNamed(ctx, Call{
		Key: key, AccountID: call.AccountID, LimitScope: call.LimitScope, LimitID: call.LimitID,
		HoldID: call.HoldID, Source: billing.SourceTelegram, Request: request,
	})
	if err != nil {
		return llm.Heard{}, err
	}
	body, _, receipt, err := live.Answer()
	if err != nil {
		return llm.Heard{}, err
	}
	return llm.Heard{
		Text: gjson.GetBytes(body, "text").String(), CostNano: receipt.CostNano, AvailableNano: receipt.AvailableNano,
	}, nil
}

// openNamed opens a call that may have been made before under its HoldID.
func (m *Meter) openNamed(ctx context.Context, c Call) (*Live, error) {
	for try := 2; ; try++ {
		live, err := m.Open(ctx, c)
		if errors.Is(err, errKeyUnknown) {
			return nil, fmt.Errorf("%w: %w", billing.ErrKeyUnknown, err)
		}
		if !errors.Is(err, billing.ErrHoldConflict) || c.HoldID == "" || try > maxTries {
			return live, err
		}
		c.try = try
		c.Gift = c.Gift || errors.Is(err, errPaid)
	}
}
