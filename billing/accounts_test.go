package billing

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func welcoming(nano int64) func(*Config) { return func(c *Config) { c.WelcomeCredit = nano } }

func TestOpenAccount(t *testing.T) { onBoth(t, testOpenAccount) }

func testOpenAccount(t *testing.T, client *redis.Client) {
	r := newRig(t, client, welcoming(500))
	ctx := t.Context()
	if _, err := r.desk.Accounts.ByTelegram(ctx, 77); !errors.Is(err, ErrAccountUnknown) {
		t.Fatalf("nobody: %v", err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, made := map[int64]bool{}, 0
	for range 20 {
		wg.Go(func() {
			account, created, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: 77, Name: "Кику\x00" + strings.Repeat("ё", 300), Language: "ru"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || account.Available != 500 {
				t.Errorf("open: %+v, %v", account, err)
			}
			ids[account.ID] = true
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || made != 1 {
		t.Fatalf("accounts %v, made %d", ids, made)
	}
	account, err := r.desk.Accounts.ByTelegram(ctx, 77)
	if err != nil || account.Available != 500 || account.Status != StatusActive || account.TelegramID != 77 {
		t.Fatalf("by telegram: %+v, %v", account, err)
	}
	if n := r.count(`select count(*) from credits`); n != 1 {
		t.Fatalf("%d welcome credits", n)
	}
	// The map of Telegram ids fills itself.
	client.Del(ctx, telegramKey(77))
	for range 2 {
		if again, err := r.desk.Accounts.ByTelegram(ctx, 77); err != nil || again.ID != account.ID {
			t.Fatalf("by telegram again: %+v, %v", again, err)
		}
	}
	if _, _, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: 77, Name: "Renamed"}); err != nil {
		t.Fatal(err)
	}
	if n := r.count(`select count(*) from accounts where name = 'Renamed'`); n != 1 {
		t.Fatal("the new name was not taken over")
	}
	for _, bad := range []int64{0, -5, 1 << 52} {
		if _, _, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: bad}); err == nil {
			t.Errorf("telegram id %d passes", bad)
		}
	}
	if _, err := r.desk.Accounts.Balance(ctx, 424242); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("balance of nobody: %v", err)
	}
	r.wantBooks(ctx)
}

func TestCreditOnce(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account, other := r.account(0), r.account(0)
	credit := Credit{AccountID: account, AmountNano: 1000, Kind: CreditStars, IdempotencyKey: "stars:charge-1", Memo: map[string]string{"charge": "1"}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	transactions, first := map[int64]bool{}, 0
	for range 20 {
		wg.Go(func() {
			result, err := r.desk.Accounts.Credit(ctx, credit)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("credit: %v", err)
			}
			transactions[result.TransactionID] = true
			if !result.Replayed {
				first++
			}
		})
	}
	wg.Wait()
	if len(transactions) != 1 || first != 1 {
		t.Fatalf("transactions %v, decided %d times", transactions, first)
	}
	r.wantBalance(account, 1000, 0)
	for name, edit := range map[string]func(*Credit){
		"amount":  func(c *Credit) { c.AmountNano = 999 },
		"account": func(c *Credit) { c.AccountID = other },
		"kind":    func(c *Credit) { c.Kind = CreditCard },
		"memo":    func(c *Credit) { c.Memo = nil },
	} {
		changed := credit
		edit(&changed)
		if _, err := r.desk.Accounts.Credit(ctx, changed); !errors.Is(err, ErrIdempotencyConflict) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	r.wantBalance(account, 1000, 0)
	r.wantBalance(other, 0, 0)
	r.wantBooks(ctx)
}

// Two accounts claim one key at the same moment: one is credited.
func TestCreditKeyRace(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	a, b := r.account(0), r.account(0)
	for round := range 20 {
		key := "race " + string(rune('a'+round))
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, account := range []int64{a, b} {
			wg.Go(func() {
				_, errs[i] = r.desk.Accounts.Credit(t.Context(), Credit{AccountID: account, AmountNano: 1, Kind: CreditStars, IdempotencyKey: key})
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrIdempotencyConflict) {
			t.Fatalf("round %d: %v", round, errs)
		}
	}
	r.wantBooks(t.Context())
}

func TestCreditRefusals(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(0)
	good := Credit{AccountID: account, AmountNano: 1, Kind: CreditPromotion, IdempotencyKey: "k"}
	for name, c := range map[string]struct {
		edit func(*Credit)
		want error
	}{
		"zero":         {func(c *Credit) { c.AmountNano = 0 }, ErrAmount},
		"negative":     {func(c *Credit) { c.AmountNano = -1 }, ErrAmount},
		"huge":         {func(c *Credit) { c.AmountNano = MaxCredit + 1 }, ErrAmount},
		"kind":         {func(c *Credit) { c.Kind = "customer" }, ErrCreditKind},
		"no key":       {func(c *Credit) { c.IdempotencyKey = "" }, ErrIdempotencyKey},
		"long key":     {func(c *Credit) { c.IdempotencyKey = strings.Repeat("k", 201) }, ErrIdempotencyKey},
		"key with NUL": {func(c *Credit) { c.IdempotencyKey = "k\x00" }, ErrIdempotencyKey},
		"nobody":       {func(c *Credit) { c.AccountID = 987654 }, ErrAccountUnknown},
	} {
		changed := good
		c.edit(&changed)
		if _, err := r.desk.Accounts.Credit(t.Context(), changed); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A balance stays where Lua's numbers are exact.
	for i := range 9 {
		r.credit(account, MaxCredit, "million "+string(rune('0'+i)))
	}
	good.AmountNano = MaxNano - 9*MaxCredit + 1
	if _, err := r.desk.Accounts.Credit(t.Context(), good); !errors.Is(err, ErrAmount) {
		t.Errorf("past the greatest balance: %v", err)
	}
	good.AmountNano--
	_, err := r.desk.Accounts.Credit(t.Context(), good)
	r.must(err)
	r.wantBalance(account, MaxNano, 0)
	r.reserve(account, "all", MaxNano)
	r.wantBalance(account, 0, MaxNano)
	r.settle(account, "all", MaxNano-1)
	r.wantBalance(account, 1, 0)
	r.drainAll()
	r.wantBooks(t.Context())
}

// A credit whose number comes too early makes the earlier ones follow, in order.
func TestCreditGap(t *testing.T) { onBoth(t, testCreditGap) }

func testCreditGap(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(100)
	epoch := client.Get(ctx, EpochKey(account)).Val()
	client.Del(ctx, EpochKey(account))
	for i, key := range []string{"b", "c", "d"} {
		if result := r.credit(account, int64(i+1), key); result.Projected {
			t.Fatal("projected to a closed shard")
		}
	}
	client.Set(ctx, EpochKey(account), epoch, 0)
	r.wantBalance(account, 100, 0)
	if result := r.credit(account, 10, "e"); !result.Projected {
		t.Fatal("not projected")
	}
	r.wantBalance(account, 116, 0)
	if result := r.credit(account, 1, "b"); !result.Replayed || !result.Projected {
		t.Fatalf("replay: %+v", result)
	}
	r.wantBalance(account, 116, 0)
	r.wantBooks(ctx)
}

// TestWelcomeWaitsForThePerson: an operator may open an account, and credit it, before
// its owner comes; the welcome is theirs all the same, once, and their name stays.
func TestWelcomeWaitsForThePerson(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.WelcomeCredit = 700 })
	desk, ctx := r.desk, t.Context()
	first, created, err := desk.Accounts.Register(ctx, 4242, Operator("ada"))
	if err != nil || !created || first.Available != 0 {
		t.Fatalf("registered: %+v, %v, %v", first, created, err)
	}
	if _, err := desk.Accounts.Credit(ctx, Credit{AccountID: first.ID, AmountNano: 50, Kind: CreditAdjustment, IdempotencyKey: "w"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		met, created, err := desk.Accounts.Open(ctx, Profile{TelegramID: 4242, Name: "Ada"})
		if err != nil || created || met.ID != first.ID || met.Available != 750 {
			t.Fatalf("met: %+v, %v, %v", met, created, err)
		}
	}
	again, created, err := desk.Accounts.Register(ctx, 4242, Operator("ada"))
	if err != nil || created || again.Name != "Ada" || again.Available != 750 {
		t.Fatalf("registered again: %+v, %v, %v", again, created, err)
	}
	if _, _, err := desk.Accounts.Register(ctx, 0, House); err == nil {
		t.Error("0 is a Telegram id")
	}
}
