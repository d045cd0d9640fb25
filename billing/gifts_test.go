package billing

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

func (r *rig) give(account, nano int64, name string) Gift {
	r.t.Helper()
	gift, err := r.desk.Gifts.Give(r.t.Context(), Wish{AccountID: account, AmountNano: nano, Name: name})
	r.must(err)
	return gift
}

func (r *rig) runOut(gift Gift) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), `update gifts set expires_at = now() where id = $1`, gift.ID)
	r.must(err)
}

const dime = NanoPerUSD / 10

func TestGift(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	giver, taker := r.account(10*dime), r.account(0)
	gift := r.give(giver, 4*dime, "one")
	for range 2 { // told again: the same gift, and nothing more is taken
		if again := r.give(giver, 4*dime, "one"); again != gift {
			t.Errorf("%+v, then %+v", gift, again)
		}
	}
	r.wantBalance(giver, 6*dime, 0)
	if _, err := r.desk.Gifts.Take(ctx, gift.Code, taker); !errors.Is(err, ErrGiftPending) {
		t.Errorf("taken before the ledger has it: %v", err)
	}
	r.drainAll()
	r.wantBooks(ctx)
	if again := r.give(giver, 4*dime, "one"); again != gift {
		t.Errorf("%+v, then %+v", gift, again)
	}
	r.wantBalance(giver, 6*dime, 0)
	if open, err := r.desk.Gifts.Open(ctx, giver); err != nil || len(open) != 1 || open[0] != gift {
		t.Errorf("open: %+v, %v", open, err)
	}
	for range 2 {
		taken, err := r.desk.Gifts.Take(ctx, gift.Code, taker)
		if err != nil || taken.CreditedTo != taker || taken.AmountNano != 4*dime {
			t.Errorf("taken: %+v, %v", taken, err)
		}
	}
	r.wantBalance(taker, 4*dime, 0)
	for _, account := range []int64{giver, r.account(0)} {
		if _, err := r.desk.Gifts.Take(ctx, gift.Code, account); !errors.Is(err, ErrGiftTaken) {
			t.Errorf("taken by another: %v", err)
		}
	}
	r.runOut(gift)
	r.must(r.desk.Gifts.Return(ctx))
	r.wantBalance(giver, 6*dime, 0)
	r.wantBooks(ctx)
	if n := r.count(`select count(*) from notices where account_id = $1 and kind = 'gift_taken'`, giver); n != 1 {
		t.Errorf("%d notices", n)
	}
}

func TestGiftComesBack(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	giver, other := r.account(10*dime), r.account(0)
	back, late := r.give(giver, 3*dime, "taken back"), r.give(giver, 5*dime, "late")
	r.drainAll()
	if gift, err := r.desk.Gifts.Take(ctx, back.Code, giver); err != nil || gift.CreditedTo != giver {
		t.Errorf("taken back: %+v, %v", gift, err)
	}
	r.wantBalance(giver, 5*dime, 0)
	r.must(r.desk.Gifts.Return(ctx)) // too early for the other one
	r.wantBalance(giver, 5*dime, 0)
	r.runOut(late)
	if _, err := r.desk.Gifts.Take(ctx, late.Code, other); !errors.Is(err, ErrGiftGone) {
		t.Errorf("taken too late: %v", err)
	}
	for range 2 {
		r.must(r.desk.Gifts.Return(ctx))
	}
	r.wantBalance(giver, 10*dime, 0)
	for _, gift := range []Gift{back, late} {
		if _, err := r.desk.Gifts.Take(ctx, gift.Code, other); !errors.Is(err, ErrGiftGone) {
			t.Errorf("taken after it went back: %v", err)
		}
	}
	if n := r.count(`select count(*) from ledger_entries where book = 'gifts'`); n != 4 {
		t.Errorf("%d entries in the book of gifts", n)
	}
	r.wantBooks(ctx)
}

// TestGiftRace: many take one gift while its giver takes it back and it runs out.
func TestGiftRace(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	giver := r.account(100 * dime)
	accounts := []int64{giver}
	for range 4 {
		accounts = append(accounts, r.account(0))
	}
	for round := range 5 {
		gift := r.give(giver, dime, fmt.Sprint("round ", round))
		r.drainAll()
		var all sync.WaitGroup
		for _, account := range accounts {
			for range 2 {
				all.Go(func() {
					_, err := r.desk.Gifts.Take(t.Context(), gift.Code, account)
					if err != nil && !errors.Is(err, ErrGiftTaken) && !errors.Is(err, ErrGiftGone) {
						t.Error(err)
					}
				})
			}
		}
		all.Go(func() {
			r.runOut(gift)
			if err := r.desk.Gifts.Return(t.Context()); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		r.drainAll()
		r.wantBooks(t.Context())
	}
	var sum int64
	for _, account := range accounts {
		balance, err := r.desk.Accounts.Balance(t.Context(), account)
		r.must(err)
		sum += balance.Available
	}
	if sum != 100*dime {
		t.Errorf("all of them have %d", sum)
	}
}

// TestGiveRace: the same wish by many at once, and more wishes than there is money.
func TestGiveRace(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	giver := r.account(3 * dime)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			_, err := r.desk.Gifts.Give(t.Context(), Wish{AccountID: giver, AmountNano: dime, Name: fmt.Sprint(i % 6)})
			var bound *GiftBoundError
			if err != nil && !errors.Is(err, ErrPoor) && !errors.As(err, &bound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.wantBalance(giver, 0, 0)
	r.drainAll()
	r.wantBooks(t.Context())
	if n := r.count(`select count(*) from ledger_transactions where kind = 'gift'`); n != 3 {
		t.Errorf("%d gifts were given", n)
	}
}

func TestGiftRefused(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.WelcomeCredit = 20 * dime })
	ctx := t.Context()
	giver := r.account(5 * dime) // and the welcome, which is nobody's to give away
	give := func(account, nano int64, name string) error {
		_, err := r.desk.Gifts.Give(ctx, Wish{AccountID: account, AmountNano: nano, Name: name})
		return err
	}
	for _, nano := range []int64{-1, 0, GiftLeast - 1, GiftMost + 1, 1 << 62} {
		if err := give(giver, nano, "x"); !errors.Is(err, ErrAmount) {
			t.Errorf("%d: %v", nano, err)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", 201), "\xff"} {
		if err := give(giver, dime, name); !errors.Is(err, ErrIdempotencyKey) {
			t.Errorf("%q: %v", name, err)
		}
	}
	var bound *GiftBoundError
	if err := give(giver, 6*dime, "beyond"); !errors.As(err, &bound) || bound.Most != 5*dime || errors.Is(err, ErrClosed) {
		t.Errorf("more than was bought: %v", err)
	}
	if err := give(1<<40, dime, "stranger"); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("a stranger: %v", err)
	}
	r.give(giver, dime, "one")
	if err := give(giver, 2*dime, "one"); !errors.Is(err, ErrIdempotencyConflict) {
		t.Errorf("another amount under the same name: %v", err)
	}
	r.spend(giver, "all", 24*dime)
	var poor *PoorError
	if err := give(giver, dime, "poor"); !errors.As(err, &poor) || poor.Available != 0 || poor.Need != dime {
		t.Errorf("without money: %v", err)
	}
	r.credit(giver, dime, "later")
	r.give(giver, dime, "poor") // there is money now
	r.wantBalance(giver, 0, 0)
	for _, code := range []string{"", "-", "1", "1-", "1-0123456789abcdef0123456789abcdef", "zzzzzzzzzzzzzzz-0123456789abcdef0123456789abcdef",
		"-1-0123456789abcdef0123456789abcdef", strings.Repeat("9", 4096), "１-0123456789abcdef0123456789abcdef"} {
		if _, err := r.desk.Gifts.Take(ctx, code, giver); !errors.Is(err, ErrGiftUnknown) {
			t.Errorf("code %q: %v", code, err)
		}
	}
	r.must(r.desk.Accounts.Close(ctx, giver, House))
	if err := give(giver, dime, "closed"); err == nil {
		t.Error("a closed account gives")
	}
	r.drainAll()
	r.wantBooks(ctx)
}

// TestGiftRevived: a wish that was too dear is asked for again once there is money, which
// may not be the giver's to give: the bounds are those of the moment, whatever its name.
func TestGiftRevived(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.WelcomeCredit = 20 * dime })
	giver := r.account(5 * dime) // and the welcome
	give := func(name string) error {
		_, err := r.desk.Gifts.Give(t.Context(), Wish{AccountID: giver, AmountNano: 5 * dime, Name: name})
		return err
	}
	r.reserve(giver, "all", 25*dime)
	var poor *PoorError
	for _, name := range []string{"one", "other", "third"} {
		if err := give(name); !errors.As(err, &poor) {
			t.Fatalf("%s without money: %v", name, err)
		}
	}
	r.must(r.desk.Holds.Release(t.Context(), giver, "all"))
	first := r.give(giver, 5*dime, "one")
	var bound *GiftBoundError
	if err := give("other"); !errors.As(err, &bound) || bound.Most != 0 {
		t.Errorf("beyond what was bought, under a name of before: %v", err)
	}
	if again := r.give(giver, 5*dime, "one"); again.ID != first.ID { // it stands: nothing is asked
		t.Errorf("once more: %+v, first %+v", again, first)
	}
	r.wantBalance(giver, 20*dime, 0)
	r.drainAll()
	r.runOut(first)
	r.must(r.desk.Gifts.Return(t.Context()))
	r.give(giver, 5*dime, "third")
	if again := r.give(giver, 5*dime, "one"); again.CreditedTo != giver { // it came back, and stays so
		t.Errorf("once returned: %+v", again)
	}
	r.drainAll()
	r.wantBooks(t.Context())
}

func TestGiftsOpenAtATime(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	giver := r.account(100 * dime)
	for i := range GiftsOpen {
		r.give(giver, dime, fmt.Sprint(i))
	}
	if _, err := r.desk.Gifts.Give(t.Context(), Wish{AccountID: giver, AmountNano: dime, Name: "more"}); !errors.Is(err, ErrGiftLimit) {
		t.Errorf("one more: %v", err)
	}
	if gift := r.give(giver, dime, "0"); gift.ID == 0 {
		t.Error("one of before is refused")
	}
}

// TestGiftOfALostShard: Redis loses what it took before the ledger had it. The money is
// the giver's again, and the link leads nowhere; told once more, it is a gift after all.
func TestGiftOfALostShard(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	giver, taker := r.account(10*dime), r.account(0)
	kept := r.give(giver, dime, "kept")
	r.drainAll()
	lost := r.give(giver, 2*dime, "lost")
	r.must(r.redis.FlushAll(ctx).Err())
	if _, err := r.desk.Gifts.Give(ctx, Wish{AccountID: giver, AmountNano: dime, Name: "closed"}); !errors.Is(err, ErrClosed) {
		t.Errorf("given while the shard is closed: %v", err)
	}
	for _, o := range r.owners {
		r.must(o.open(ctx))
	}
	r.wantBalance(giver, 9*dime, 0)
	if _, err := r.desk.Gifts.Take(ctx, lost.Code, taker); !errors.Is(err, ErrGiftPending) {
		t.Errorf("a lost gift was taken: %v", err)
	}
	r.runOut(lost)
	r.must(r.desk.Gifts.Return(ctx))
	r.wantBalance(giver, 9*dime, 0)
	if again := r.give(giver, dime, "kept"); again != kept {
		t.Errorf("%+v, then %+v", kept, again)
	}
	if again := r.give(giver, 2*dime, "lost"); again != lost {
		t.Errorf("%+v, then %+v", lost, again)
	}
	r.wantBalance(giver, 7*dime, 0)
	r.drainAll()
	for _, gift := range []Gift{kept, lost} {
		if _, err := r.desk.Gifts.Take(ctx, gift.Code, taker); err != nil {
			t.Error(err)
		}
	}
	r.wantBalance(taker, 3*dime, 0)
	r.wantBooks(ctx)
}

// TestGiftOfALeaver: a gift outlives its giver's account, and what comes back to it is
// forfeited with the rest.
func TestGiftOfALeaver(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	giver, taker := r.account(10*dime), r.account(0)
	taken, back := r.give(giver, dime, "taken"), r.give(giver, 2*dime, "back")
	r.must(r.desk.Accounts.Close(ctx, giver, OfAccount(giver)))
	r.drainAll()
	if _, err := r.desk.Gifts.Take(ctx, taken.Code, taker); err != nil {
		t.Error(err)
	}
	r.runOut(back)
	r.must(r.desk.Gifts.Return(ctx))
	r.wantBalance(taker, dime, 0)
	r.wantBalance(giver, 9*dime, 0)
	if _, err := r.desk.Holds.Reserve(ctx, reservation(giver, "after", 5)); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a closed account spends: %v", err)
	}
	r.wantBooks(ctx)
}

// TestGiftsChecked: the books tell a gift that was taken for none, given on twice or for
// nothing.
func TestGiftsChecked(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	giver := r.account(10 * dime)
	gift := r.give(giver, dime, "one")
	r.drainAll()
	r.wantBooks(t.Context())
	for what, spoil := range map[string]string{
		"another amount":    `update gifts set amount_nano = amount_nano + 1`,
		"taken for none":    `update gifts set id = id + 1000`,
		"given on in words": `update gifts set settled_at = now(), credited_to = account_id, transaction_id = 1`,
	} {
		tx, err := r.owner().Begin(t.Context())
		r.must(err)
		var found int64
		_, err = tx.Exec(t.Context(), spoil)
		if err == nil {
			err = tx.QueryRow(t.Context(), `select count(*) from (`+checkSQL+`) f where rule = $2`, maxDifferences, RuleGifts).Scan(&found)
		}
		if err := errors.Join(err, tx.Rollback(t.Context())); err != nil || found == 0 {
			t.Errorf("%s: nobody sees it: %v", what, err)
		}
	}
	if gift.Code == "" {
		t.Error("no code")
	}
}
