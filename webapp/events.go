package webapp

import (
	"encoding/json"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// Types of events.
const (
	eventBalance  = "balance"
	eventUsage    = "usage"
	eventPayment  = "payment"
	eventKey      = "key"
	eventSettings = "settings"
)

// What a resumed connection has missed nothing of, or too much to be told.
const (
	resumeFull = "full"
	resumeGap  = "gap"
)

// event is one of a frame, as JSON.
type event = json.RawMessage

type balanceData struct {
	AvailableNano int64  `json:"available_nano_usd"`
	HeldNano      int64  `json:"held_nano_usd"`
	AvailableUSD  string `json:"available_usd"`
}

type usageData struct {
	Model        string `json:"model"`
	KeyID        int64  `json:"key_id"` // 0: of the chat or the Mini App
	CostNano     int64  `json:"cost_nano_usd"`
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
	Status       string `json:"status"` // settled, or estimated where the provider told no usage
	Source       string `json:"source"`
}

type paymentData struct {
	Kind       string `json:"kind"`
	AmountNano int64  `json:"amount_nano_usd"` // that the balance changed by
	Stars      int64  `json:"stars,omitempty"`
}

type keyData struct {
	KeyID  *int64 `json:"key_id"` // null: it is not known which
	Change string `json:"change"`
}

// encode writes an event. Its id is the place that the client has come to with it.
func encode(place billing.FeedPlace, kind string, at time.Time, data any) event {
	text, _ := json.Marshal(struct { // numbers and strings always encode
		ID   string `json:"id"`
		Type string `json:"type"`
		At   string `json:"at"`
		Data any    `json:"data"`
	}{formatPlace(place), kind, at.UTC().Format("2006-01-02T15:04:05.000Z07:00"), data})
	return text
}

// encodeEntry writes the event of a transaction.
func encodeEntry(place billing.FeedPlace, e billing.FeedEntry) event {
	place.Seq = e.Seq
	if e.Call == nil {
		return encode(place, eventPayment, e.At, paymentData{e.Kind, e.Nano, e.Stars})
	}
	status := "settled"
	if e.Call.Estimated {
		status = "estimated"
	}
	return encode(place, eventUsage, e.At, usageData{
		Model: e.Call.Model, KeyID: e.Call.KeyID, CostNano: -e.Nano, InputTokens: e.Call.Input, OutputTokens: e.Call.Output,
		Status: status, Source: e.Call.Source,
	})
}

func encodeBalance(place billing.FeedPlace, at time.Time, b billing.Balance) event {
	return encode(place, eventBalance, at, balanceData{b.Available, b.Held, billing.FormatUSD(b.Available)})
}

// frame is some events as they are sent.
func frame(events []event, resume string) []byte {
	text, _ := json.Marshal(struct { // they are JSON already
		Type   string  `json:"type"`
		Events []event `json:"events"`
		Resume string  `json:"resume,omitempty"`
	}{"events", events, resume})
	return text
}
