package billing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	eventGift   = "gift"   // somebody gave a part of their balance away
)

// Kinds of ledger transactions that events become.
const (
	kindSettle = "settle"
	kindRefund = "refund"
	kindGift   = "gift"
)

// debitBooks are the books that a debit may go to; a call's go to revenue.
var debitBooks = []string{bookPromotion, CreditAdjustment, CreditStars, CreditCard}

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
	shard      stream.Shard
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

// told is an event as it stands in the stream.
type told struct {
	kind, epoch, account, key, captured, writeOff string
	hold, reference, book, details                string
}

// fieldSettled is the one field of a settlement's event, see functions.lua.
const fieldSettled = "s"

// tell reads an event of either form: a settlement's one field, or a field for each value,
// as other events have them and settlements had before.
func tell(m redis.XMessage) (t told) {
	if packed, is := m.Values[fieldSettled].(string); is {
		t.kind = eventSettle
		for _, into := range [...]*string{&t.epoch, &t.account, &t.key, &t.captured, &t.writeOff, &t.hold} {
			*into, packed, _ = strings.Cut(packed, "|")
		}
		t.details = packed
		return t
	}
	for name, value := range m.Values {
		text, _ := value.(string)
		switch name {
		case "t":
			t.kind = text
		case "e":
			t.epoch = text
		case "a":
			t.account = text
		case "k":
			t.key = text
		case "c":
			t.captured = text
		case "w":
			t.writeOff = text
		case "h":
			t.hold = text
		case "r":
			t.reference = text
		case "b":
			t.book = text
		case "d":
			t.details = text
		}
	}
	return t
}

// decodeEvent refuses what it does not know entirely: an event skipped would be
// money lost, so its shard stops until a process that knows it takes over.
func decodeEvent(m redis.XMessage) (e event, err error) {
	t := tell(m)
	if e.id, err = parseEventID(m.ID); err != nil {
		return event{}, fmt.Errorf("billing: event id %q: %w", m.ID, err)
	}
	for _, field := range [...]struct {
		name, text string
		into       *int64
	}{{"epoch", t.epoch, &e.epoch}, {"account", t.account, &e.account}, {"key", t.key, &e.key}, {"captured", t.captured, &e.captured}, {"write-off", t.writeOff, &e.writeOff}} {
		if *field.into, err = strconv.ParseInt(field.text, 10, 64); err != nil {
			return event{}, fmt.Errorf("billing: event %s, %s: %w", m.ID, field.name, err)
		}
	}
	switch t.kind {
	case eventSettle:
		e.hold = cleanText(t.hold, maxHoldID)
		e.kind, e.reference, e.book = kindSettle, holdReference(e.hold), bookRevenue
	case eventDebit:
		e.kind, e.reference, e.book = kindRefund, cleanText(t.reference, maxReference), t.book
		if e.reference == "" || !slices.Contains(debitBooks, e.book) {
			return event{}, fmt.Errorf("billing: event %s takes for %q into the book %q", m.ID, e.reference, e.book)
		}
	case eventGift:
		e.kind, e.reference, e.book = kindGift, cleanText(t.reference, maxReference), bookGifts
		if e.reference == "" {
			return event{}, fmt.Errorf("billing: event %s is of a gift without a name", m.ID)
		}
	default:
		return event{}, fmt.Errorf("billing: event %s is of unknown type %q", m.ID, t.kind)
	}
	if e.captured < 0 || e.writeOff < 0 {
		return event{}, fmt.Errorf("billing: event %s has a negative amount", m.ID)
	}
	if e.kind != kindSettle {
		return e, nil
	}
	if e.details, err = decodePayload(t.details); err != nil {
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
