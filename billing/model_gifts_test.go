package billing

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/postgres"
)

// modelGift is a gift as it should be: a wish, until the ledger has what was taken for it.
type modelGift struct {
	from    *modelAccount
	nano    int64
	code    string
	marked  bool // Redis took it in this epoch
	funded  bool
	expired bool
	to      *modelAccount // who was credited; nil: nobody yet
}

const modelWishes = 5 // of an account that are told apart by their names

// give wishes for a gift, at times under a name of before, at times dying before Redis
// hears of it.
func (m *machine) give(t *rapid.T) {
	a, nano := m.pick(t), rapid.Int64Range(1, 400).Draw(t, "nano")
	w := Wish{AccountID: a.account, AmountNano: nano, Name: fmt.Sprintf("m%d-%d", m.run, rapid.IntRange(0, modelWishes-1).Draw(t, "wish"))}
	known := a.gifts[w.Name]
	if known != nil && rapid.Bool().Draw(t, "the same") {
		w.AmountNano = known.nano
	}
	dies := rapid.IntRange(0, 3).Draw(t, "dies") == 0
	var gift Gift
	var err error
	if dies {
		err = postgres.InTx(t.Context(), m.pool, func(tx pgx.Tx) (err error) {
			gift, err = wish(t.Context(), tx, w)
			return err
		})
	} else {
		gift, err = m.desk.Gifts.Give(t.Context(), w)
	}
	if known == nil || known.to == nil && known.expired && known.nano == w.AmountNano { // it is new, or to live again
		var bound *GiftBoundError
		if most := a.ownLeft(); most < w.AmountNano {
			if !errors.As(err, &bound) || bound.Most != max(0, most) {
				t.Fatalf("give %d of %d: %+v, %v", w.AmountNano, most, gift, err)
			}
			return
		}
		if known == nil {
			known = &modelGift{from: a, nano: w.AmountNano}
			a.gifts[w.Name] = known
		}
	}
	known.expired = known.expired && known.nano != w.AmountNano
	switch {
	case known.nano != w.AmountNano:
		if !errors.Is(err, ErrIdempotencyConflict) {
			t.Fatalf("give %d instead of %d: %v", w.AmountNano, known.nano, err)
		}
	case dies && err == nil:
	case known.to == nil && !known.funded && !known.marked && a.available < known.nano:
		var poor *PoorError
		if !errors.As(err, &poor) || poor.Available != a.available {
			t.Fatalf("give %d of %d: %+v, %v", known.nano, a.available, gift, err)
		}
		known.expired = true
	case err != nil || gift.Code == "" || gift.AmountNano != known.nano:
		t.Fatalf("give: %+v, %v", gift, err)
	default:
		known.code = gift.Code
		if known.to == nil && !known.funded && !known.marked {
			known.marked = true
			a.available -= known.nano
			a.queue = append(a.queue, modelEvent{gift: known, captured: known.nano, at: m.now})
		}
	}
}

// ownLeft is what the account may still give away: what was bought or given to it, less
// what it gave.
func (a *modelAccount) ownLeft() int64 {
	left := a.own
	for _, gift := range a.gifts {
		if gift.to != a && (gift.to != nil || !gift.expired) {
			left -= gift.nano
		}
	}
	return left
}

// known are the gifts whose links were shown, in an order that repeats.
func (m *machine) known() (gifts []*modelGift) {
	for _, a := range m.accounts {
		for _, name := range slices.Sorted(maps.Keys(a.gifts)) {
			if a.gifts[name].code != "" {
				gifts = append(gifts, a.gifts[name])
			}
		}
	}
	return gifts
}

// takeGift opens a link, perhaps with an account that dies before Redis hears of it.
func (m *machine) takeGift(t *rapid.T) {
	gifts := m.known()
	if len(gifts) == 0 {
		return
	}
	gift, a := rapid.SampledFrom(gifts).Draw(t, "gift"), m.pick(t)
	if rapid.IntRange(0, 5).Draw(t, "late") == 0 {
		m.runOutOf(gift)
	}
	var got Gift
	var err error
	take := func(desk *Desk) { got, err = desk.Gifts.Take(t.Context(), gift.code, a.account) }
	dies := rapid.Bool().Draw(t, "dies")
	if dies {
		m.unprojected(take)
	} else {
		take(m.desk)
	}
	var want error
	switch {
	case gift.to == a:
	case gift.to == gift.from, gift.to == nil && gift.expired && a != gift.from:
		want = ErrGiftGone
	case gift.to != nil:
		want = ErrGiftTaken
	case !gift.funded:
		want = ErrGiftPending
	}
	if !errors.Is(err, want) || want == nil && (err != nil || got.CreditedTo != a.account) {
		t.Fatalf("take %+v: %+v, %v; want %v", gift, got, err, want)
	}
	if want == nil && gift.to == nil {
		m.credited(gift, a, !dies)
	}
}

func (m *machine) runOutOf(gift *modelGift) {
	if id, ok := m.desk.Gifts.read(gift.code); ok && gift.to == nil {
		m.runOut(Gift{ID: id})
		gift.expired = true
	}
}

// returnGifts lets one more run out and sends back all that have.
func (m *machine) returnGifts(t *rapid.T) {
	if gifts := m.known(); len(gifts) > 0 {
		m.runOutOf(rapid.SampledFrom(gifts).Draw(t, "gift"))
	}
	var err error
	send := func(desk *Desk) { err = desk.Gifts.Return(t.Context()) }
	dies := rapid.Bool().Draw(t, "dies")
	if dies {
		m.unprojected(send)
	} else {
		send(m.desk)
	}
	if err != nil {
		t.Fatalf("return gifts: %v", err)
	}
	for _, a := range m.accounts {
		for _, gift := range a.gifts {
			if gift.to == nil && gift.funded && gift.expired {
				m.credited(gift, a, !dies)
			}
		}
	}
}

// credited is a gift that an account was given.
func (m *machine) credited(gift *modelGift, a *modelAccount, told bool) {
	gift.to = a
	a.ledger += gift.nano
	a.untold += gift.nano
	a.outstanding -= gift.nano
	if a != gift.from {
		a.own += gift.nano
	}
	if told {
		m.projected(a)
	}
}

// checkGifts holds the book of gifts against those that nobody has.
func (m *machine) checkGifts(t *rapid.T) {
	var open, book int64
	for _, a := range m.accounts {
		book += a.outstanding
		for _, gift := range a.gifts {
			if gift.funded && gift.to == nil {
				open += gift.nano
			}
		}
	}
	if open != book {
		t.Fatalf("%d of gifts are open, the book has %d", open, book)
	}
}
