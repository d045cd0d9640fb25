package billing

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of one payment in Telegram Stars, which are Telegram's.
const (
	StarsLeast = 1
	StarsMost  = 10_000
)

// CurrencyStars is what Telegram calls its Stars.
const CurrencyStars = "XTR"

const (
	offerLife   = 24 * time.Hour
	offerForm   = "k1" // of the payload
	offerFields = 7
	macDigits   = 32
	statusIn    = 500 * time.Millisecond // for a look into Postgres while a payment waits
)

// Offer is what an invoice promises.
type Offer struct {
	AccountID  int64
	Stars      int64
	CreditNano int64 // what the account will be given for them
	Monthly    bool  // again each month, until it is cancelled
	Expires    time.Time
	Payload    string // all of the above and the seal under it; at most 128 bytes
}

// Offer promises an account what it will be given for so many Stars. ErrAmount.
func (p *Payments) Offer(accountID, stars int64, monthly bool) (Offer, error) {
	o := Offer{AccountID: accountID, Stars: stars, CreditNano: p.worth(stars), Monthly: monthly,
		Expires: p.now().Add(offerLife).Truncate(time.Second)}
	if stars < StarsLeast || stars > StarsMost || o.CreditNano <= 0 {
		return Offer{}, ErrAmount
	}
	kind := "once"
	if monthly {
		kind = "monthly"
	}
	body := fmt.Sprintf("%s.%s.%d.%d.%d.%d", offerForm, kind, o.AccountID, o.Stars, o.CreditNano, o.Expires.Unix())
	o.Payload = body + "." + p.peppers[0].seal(body)
	return o, nil
}

// worth is what so many Stars are given for, at today's rate.
func (p *Payments) worth(stars int64) int64 { return clamp(stars, maxCharged) * p.starNano }

// seal is the mark under an invoice's payload that nobody else can make.
func (p *pepper) seal(body string) string {
	first, _ := p.digest("invoice:" + body) // no API key begins so
	return first
}

// read opens a payload of ours, whether it is still good or not.
func (p *Payments) read(payload string) (o Offer, ok bool) {
	fields := strings.Split(payload, ".")
	if len(fields) != offerFields || fields[0] != offerForm || len(fields[6]) != macDigits {
		return Offer{}, false
	}
	body := payload[:len(payload)-macDigits-1]
	sealed := false
	for _, pepper := range p.peppers {
		sealed = subtle.ConstantTimeCompare([]byte(pepper.seal(body)), []byte(fields[6])) == 1 || sealed
	}
	if !sealed {
		return Offer{}, false
	}
	var numbers [4]int64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseInt(fields[2+i], 10, 64); err != nil {
			return Offer{}, false
		}
	}
	return Offer{AccountID: numbers[0], Stars: numbers[1], CreditNano: numbers[2], Monthly: fields[1] == "monthly",
		Expires: time.Unix(numbers[3], 0), Payload: payload}, true
}

// OfferFault is why an invoice may not be paid.
type OfferFault string

// The faults.
const (
	OfferForged     OfferFault = "forged"     // not ours, or changed on the way
	OfferAmount     OfferFault = "amount"     // another amount or currency than promised, or out of bounds
	OfferStale      OfferFault = "stale"      // promised too long ago
	OfferForeign    OfferFault = "foreign"    // promised to somebody else's account
	OfferClosed     OfferFault = "closed"     // the account may not be topped up
	OfferSubscribed OfferFault = "subscribed" // a monthly top-up is running already
)

// OfferError says why an invoice may not be paid.
type OfferError struct{ Fault OfferFault }

func (e *OfferError) Error() string {
	return "billing: the invoice may not be paid: " + string(e.Fault)
}

// Purchase is what a person is about to pay, as Telegram tells it.
type Purchase struct {
	TelegramID int64 // who pays
	Payload    string
	Amount     int64
	Currency   string
}

// Check says whether the payment may be made: nil, an *OfferError, or ErrClosed where
// nobody can say at the moment. Where Redis knows the payer it asks Postgres nothing.
func (p *Payments) Check(ctx context.Context, b Purchase) error {
	offer, ok := p.read(b.Payload)
	if !ok {
		return &OfferError{OfferForged}
	}
	if b.Currency != CurrencyStars || b.Amount != offer.Stars || offer.Stars < StarsLeast || offer.Stars > StarsMost {
		return &OfferError{OfferAmount}
	}
	ctx, cancel := context.WithTimeout(ctx, statusIn)
	defer cancel()
	account, err := p.accounts.ByTelegram(ctx, b.TelegramID)
	switch {
	case errors.Is(err, ErrAccountUnknown):
		return &OfferError{OfferClosed} // whoever holds an offer had an account
	case err != nil:
		return err
	case account.ID != offer.AccountID:
		return &OfferError{OfferForeign}
	case account.Status != StatusActive:
		return &OfferError{OfferClosed}
	}
	stale := p.now().After(offer.Expires)
	if offer.Monthly {
		return p.checkMonthly(ctx, offer, stale)
	}
	if stale {
		return &OfferError{OfferStale}
	}
	return nil
}

// checkMonthly lets one monthly top-up run at a time, and lets that one go on.
func (p *Payments) checkMonthly(ctx context.Context, o Offer, stale bool) error {
	var running bool
	err := p.postgres.QueryRow(ctx, `select state = 'active' and paid_until > now() from subscriptions where account_id = $1`,
		o.AccountID).Scan(&running)
	subscribed := err == nil // or had been
	switch {
	case stale && !subscribed:
		return &OfferError{OfferStale}
	case !stale && running:
		return &OfferError{OfferSubscribed}
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		p.log.WarnContext(ctx, "monthly top-up let through unasked", "account_id", o.AccountID, "err", err)
	}
	return nil
}
