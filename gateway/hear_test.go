package gateway

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// TestHear: what a chat's sound says is written down, paid as any call is, and paid once
// however often it is asked under one name.
func TestHear(t *testing.T) {
	r, provider := newMediaRig(t)
	provider.says(sends(jsonKind, `{"text":"two words","usage":{"type":"duration","seconds":9}}`))
	id, _ := r.account(dollar)
	call := llm.HearCall{
		AccountID: id, HoldID: "tg-7-heard", LimitScope: "account", LimitID: strconv.FormatInt(id, 10), Model: "ear",
		Sound: []byte(sound(9)), Name: "voice.wav",
	}
	heard, err := r.meter.Hear(t.Context(), call)
	r.must(err)
	if heard.Text != "two words" || heard.CostNano != 900_000 || heard.AvailableNano != dollar-900_000 {
		t.Errorf("heard %+v", heard)
	}
	again, err := r.meter.Hear(t.Context(), call)
	r.must(err)
	if again.Text != "two words" || again.CostNano != 0 {
		t.Errorf("again %+v", again)
	}
	r.wantBalance(id, dollar-900_000)

	var invalid *llm.RequestError
	call.Sound = []byte("PK\x03\x04 no sound at all")
	if _, err := r.meter.Hear(t.Context(), call); !errors.As(err, &invalid) {
		t.Errorf("no sound: %v", err)
	}
	poor, _ := r.account(1000)
	call.AccountID, call.HoldID, call.Sound = poor, "tg-8-heard", []byte(sound(9))
	var unpaid *billing.PoorError
	if _, err := r.meter.Hear(t.Context(), call); !errors.As(err, &unpaid) {
		t.Errorf("poor: %v", err)
	}
	r.wantBalance(poor, 1000)
	if _, form, _ := provider.asked(); !strings.Contains(form, `name="model"`) || !strings.Contains(form, "whisper") || !strings.Contains(form, `filename="voice.wav"`) {
		t.Errorf("asked: %.300q", form)
	}
}
