package billing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// maxReference bounds what names a ledger transaction, in characters.
const maxReference = 400

func shardOf(account int64) stream.Shard { return stream.ShardOf(account) }

// Types of events.
const (
	eventSettle = "settle" // a call was paid
	eventDebit  = "debit"  // something else was taken that Postgres had decided
)

// Kinds of ledger transactions that events become.
const (
	kindSettle = "settle"
	kindRefund = "refund"
)

// debitBooks are the books that a debit may go to; a call's go to revenue.
var debitBooks = []string{bookPromotion, CreditAdjustment, CreditStars, CreditCard}

// payload is what an event says beyond the money, in the stream as JSON. It
// never decides over money: one that cannot be read costs its usage row the
// details, nothing else.
type payload struct {
	Prompt     int64  `json:"p,omitempty"`
	Cached     int64  `json:"c,omitempty"`
	CacheWrite int64  `json:"w,omitempty"`
	Completion int64  `json:"o,omitempty"`
	Reasoning  int64  `json:"r,omitempty"`
	Estimated  bool   `json:"e,omitempty"`
	Model      string `json:"m"`
	Deployment string `json:"d"`
	Source     string `json:"s"`
	Duration   int32  `json:"t,omitempty"` // ms
	FirstToken int32  `json:"f,omitempty"` // ms
	// The organisation whose budget counted the call, and the day that it was counted on.
	Organisation    int64 `json:"g,omitempty"`
	OrganisationDay int32 `json:"y,omitempty"` // days since 1970
}

func encodePayload(s Settlement) ([]byte, error) {
	return json.Marshal(payload{
		Prompt: s.Usage.Prompt, Cached: s.Usage.Cached, CacheWrite: s.Usage.CacheWrite,
		Completion: s.Usage.Completion, Reasoning: s.Usage.Reasoning, Estimated: s.Usage.Estimated,
		Model: cleanText(s.Model, maxModel), Deployment: cleanText(s.Deployment, maxModel), Source: cleanText(s.Source, 20),
		Duration: milliseconds(s.Duration), FirstToken: milliseconds(s.FirstToken),
		Organisation: max(0, s.Organisation), OrganisationDay: int32(clamp(s.OrganisationDay, 1<<31-1)),
	})
}

func milliseconds(d time.Duration) int32 { return int32(clamp(d.Milliseconds(), 1<<31-1)) }

func (p *payload) usage() Usage {
	return Usage{Prompt: p.Prompt, Cached: p.Cached, CacheWrite: p.CacheWrite,
		Completion: p.Completion, Reasoning: p.Reasoning, Estimated: p.Estimated}.Clamped()
}

// eventID is a position in a stream.
type eventID struct{ ms, seq int64 }

func (id eventID) String() string {
	return strconv.FormatInt(id.ms, 10) + "-" + strconv.FormatInt(id.seq, 10)
}

func (id eventID) zero() bool { return id == eventID{} }

func (id eventID) before(other eventID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}

func parseEventID(text string) (id eventID, err error) {
	ms, seq, _ := strings.Cut(text, "-")
	id.ms, id.seq, err = twoInts(ms, seq)
	return id, err
}

// event is a debit on its way to the ledger.
type event struct {
	id         eventID
	epoch      int64
	kind       string
	reference  string // of its transaction
	book       string // that is given what the customer and the write-off lose
	hold       string // kindSettle alone
	account    int64
	key        int64
	captured   int64 // nano-USD
	writeOff   int64
	details    payload
	unreadable bool // the details
}

// holdReference names the ledger transaction of a hold.
func holdReference(hold string) string { return "hold:" + hold }

// decodeEvent refuses what it does not know entirely: an event skipped would be
// money lost, so its shard stops until a process that knows it takes over.
func decodeEvent(m redis.XMessage) (e event, err error) {
	text := func(field string) string { s, _ := m.Values[field].(string); return s }
	if e.id, err = parseEventID(m.ID); err != nil {
		return event{}, fmt.Errorf("billing: event id %q: %w", m.ID, err)
	}
	for _, field := range []struct {
		name string
		into *int64
	}{{"e", &e.epoch}, {"a", &e.account}, {"k", &e.key}, {"c", &e.captured}, {"w", &e.writeOff}} {
		if *field.into, err = strconv.ParseInt(text(field.name), 10, 64); err != nil {
			return event{}, fmt.Errorf("billing: event %s, field %s: %w", m.ID, field.name, err)
		}
	}
	switch kind := text("t"); kind {
	case eventSettle:
		e.hold = cleanText(text("h"), maxHoldID)
		e.kind, e.reference, e.book = kindSettle, holdReference(e.hold), bookRevenue
	case eventDebit:
		e.kind, e.reference, e.book = kindRefund, cleanText(text("r"), maxReference), text("b")
		if e.reference == "" || !slices.Contains(debitBooks, e.book) {
			return event{}, fmt.Errorf("billing: event %s takes for %q into the book %q", m.ID, e.reference, e.book)
		}
	default:
		return event{}, fmt.Errorf("billing: event %s is of unknown type %q", m.ID, kind)
	}
	if e.captured < 0 || e.writeOff < 0 {
		return event{}, fmt.Errorf("billing: event %s has a negative amount", m.ID)
	}
	if e.kind != kindSettle {
		return e, nil
	}
	if json.Unmarshal([]byte(text("d")), &e.details) != nil {
		e.details, e.unreadable = payload{}, true
	}
	e.details.Model = cleanText(e.details.Model, maxModel)
	e.details.Deployment = cleanText(e.details.Deployment, maxModel)
	e.details.Source = cleanText(e.details.Source, 20)
	e.details.Organisation, e.details.OrganisationDay = max(0, e.details.Organisation), max(0, e.details.OrganisationDay)
	if e.details.Organisation > 0 && e.details.OrganisationDay == 0 {
		e.details.OrganisationDay = int32(clamp(e.id.ms/(secondsOfDay*1000), 1<<31-1))
	}
	return e, nil
}
