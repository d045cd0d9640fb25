package billing

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// inviting is a shop that pays two dimes for an invitation, for three a month.
func inviting(t *testing.T) *rig {
	t.Helper()
	return newRig(t, testenv.Redis(t), func(c *Config) {
		c.StarNano, c.ReferralNano, c.ReferralMost = starNano, 2*dime, 3
	})
}

// invited opens the account of a new person who comes by an invitation.
func (r *rig) invited(referrer int64) int64 {
	r.t.Helper()
	var highest int64
	r.must(r.pool.QueryRow(r.t.Context(), `select coalesce(max(telegram_id), 0) from accounts`).Scan(&highest))
	account, _, err := r.desk.Accounts.OpenInvited(r.t.Context(), Profile{TelegramID: highest + 1}, referrer)
	r.must(err)
	return account.ID
}

func (r *rig) paysStars(account, amount int64, charge string) {
	r.t.Helper()
	r.pay(stars(charge, r.person(account), amount, ""))
}

func TestReferral(t *testing.T) {
	r := inviting(t)
	ctx := t.Context()
	referrer := r.account(0)
	code := r.desk.Accounts.Invitation(referrer)
	if by, ok := r.desk.Accounts.Inviting(code); !ok || by != referrer {
		t.Fatalf("%s is the invitation of %d, %v", code, by, ok)
	}
	if _, ok := r.desk.Accounts.Inviting(code[:len(code)-1] + "x"); ok {
		t.Error("a forged invitation is taken")
	}
	came := r.invited(referrer)
	if pending, err := r.desk.Accounts.IsInvited(ctx, came); err != nil || !pending {
		t.Errorf("invited: %v, %v", pending, err)
	}
	r.paysStars(came, 15, "too small") // $0.195
	r.wantBalance(came, 15*starNano, 0)
	r.wantBalance(referrer, 0, 0)
	for range 2 {
		r.paysStars(came, 20, "large enough")
	}
	r.paysStars(came, 20, "one more")
	r.wantBalance(came, 55*starNano+2*dime, 0)
	r.wantBalance(referrer, 2*dime, 0)
	if n, nano, err := r.desk.Accounts.Invitations(ctx, referrer); err != nil || n != 1 || nano != 2*dime {
		t.Errorf("%d came, %d was given, %v", n, nano, err)
	}
	for kind, account := range map[string]int64{NoticeInvited: came, NoticeInviting: referrer} {
		if n := r.count(`select count(*) from notices where account_id = $1 and kind = $2`, account, kind); n != 1 {
			t.Errorf("%d notices of kind %s", n, kind)
		}
	}
	r.wantBooks(ctx)
}

func TestReferralOfWhom(t *testing.T) {
	r := inviting(t)
	ctx := t.Context()
	referrer := r.account(0)
	pending := func(account int64) bool {
		invited, err := r.desk.Accounts.IsInvited(ctx, account)
		r.must(err)
		return invited
	}
	again, _, err := r.desk.Accounts.OpenInvited(ctx, Profile{TelegramID: r.person(referrer)}, referrer)
	if err != nil || again.ID != referrer || pending(referrer) {
		t.Error("somebody invites themselves", err)
	}
	old := r.account(0)
	if _, _, err := r.desk.Accounts.OpenInvited(ctx, Profile{TelegramID: r.person(old)}, referrer); err != nil || pending(old) {
		t.Error("somebody who had come before is invited", err)
	}
	const payer = 777
	paid := r.pay(stars("before they came", payer, 50, ""))
	if _, _, err := r.desk.Accounts.OpenInvited(ctx, Profile{TelegramID: payer}, referrer); err != nil || pending(paid.AccountID) {
		t.Error("somebody who had paid before is invited", err)
	}
	left := r.invited(referrer)
	person := r.person(left)
	r.must(r.desk.Accounts.Close(ctx, left, House))
	back, _, err := r.desk.Accounts.OpenInvited(ctx, Profile{TelegramID: person}, referrer)
	if err != nil || pending(back.ID) {
		t.Error("somebody who left and came back is invited", err)
	}
	for _, by := range []int64{0, -1, 1 << 40, left} {
		if pending(r.invited(by)) {
			t.Errorf("invited by %d", by)
		}
	}
	came := r.invited(referrer)
	r.must(r.desk.Accounts.Close(ctx, referrer, House))
	r.paysStars(came, 50, "after the referrer left")
	r.wantBalance(came, 50*starNano+2*dime, 0)
	r.wantBalance(referrer, 0, 0)
	r.wantBooks(ctx)
}

// TestReferralsOfAMonth: many invited people pay at once, of whom three count.
func TestReferralsOfAMonth(t *testing.T) {
	r := inviting(t)
	referrer := r.account(0)
	var came []int64
	for range 8 {
		came = append(came, r.invited(referrer))
	}
	var all sync.WaitGroup
	for i, account := range came {
		all.Go(func() { r.paysStars(account, 50, fmt.Sprint("charge ", i)) })
	}
	all.Go(r.drainAll)
	all.Wait()
	r.wantBalance(referrer, 6*dime, 0)
	if n := r.count(`select count(*) from referrals where settled_at is not null and referred_nano = referrer_nano and referrer_nano > 0`); n != 3 {
		t.Errorf("%d were rewarded", n)
	}
	_, err := r.pool.Exec(t.Context(), `update referrals set settled_at = settled_at - interval '32 days'`)
	r.must(err)
	r.paysStars(r.invited(referrer), 50, "next month")
	r.wantBalance(referrer, 8*dime, 0)
	r.wantBooks(t.Context())
}

// TestReferralGivenBack: a payment that is given back takes along what it had brought.
func TestReferralGivenBack(t *testing.T) {
	r := inviting(t)
	ctx := t.Context()
	referrer := r.account(0)
	came := r.invited(referrer)
	r.paysStars(came, 50, "first")
	r.spend(referrer, "half", dime)
	for range 2 {
		_, err := r.desk.Payments.Refunded(ctx, "first")
		r.must(err)
	}
	for range 2 {
		for _, account := range []int64{came, referrer} {
			r.must(r.owners[shardOf(account)].relayDebits(ctx))
		}
		r.drainAll()
	}
	r.wantBalance(came, 0, 0)
	r.wantBalance(referrer, 0, 0) // what was spent is written off
	if n := r.count(`select coalesce(sum(amount_nano), 0) from ledger_entries where book = 'promotion'`); n != 0 {
		t.Errorf("the book of promotions has %d", n)
	}
	r.paysStars(came, 50, "second")
	r.wantBalance(came, 50*starNano, 0)
	r.wantBooks(ctx)
	if n := r.count(`select count(*) from debits where posted_at is null and created_at < $1`, time.Now().Add(-time.Minute)); n != 0 {
		t.Errorf("%d debits are pending", n)
	}
}
