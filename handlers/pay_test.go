package handlers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// adas is the account of the club's first member, who is its creator.
func (c *club) adas() billing.Account {
	c.t.Helper()
	account, err := c.desk.Accounts.ByTelegram(c.t.Context(), person)
	if err != nil {
		c.t.Fatal(err)
	}
	return account
}

// newPaidClub is a club that Ada pays for, up to a dollar a day: the bot has said so.
func newPaidClub(t *testing.T) (*club, billing.GroupPayer) {
	t.Helper()
	r := newRig(t)
	r.keeping()
	c := r.club()
	c.write(person, "/pay@KikuBot 1", 0)
	c.like(1, `^From now on Ada pays for what is asked here, up to \$1\.00 a day`)
	payer, err := c.desk.Keys.GroupPayer(t.Context(), c.chat.ID)
	if err != nil || payer.AccountID != c.adas().ID || payer.DayNano != billing.NanoPerUSD || payer.Title != "Friends" {
		t.Fatalf("%+v, %v", payer, err)
	}
	return c, payer
}

// like is last, and has to be like a pattern.
func (c *club) like(n int, pattern string) string {
	c.t.Helper()
	text := c.last(n).Text
	if !regexp.MustCompile(pattern).MatchString(text) {
		c.t.Fatalf("message %d is not like %q: %q", n, pattern, text)
	}
	return text
}

// paidBy is who pays for the nth call, and on which key.
func (c *club) paidBy(n int) (account, key int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[n].AccountID, c.calls[n].KeyID
}

// TestGroupPaid: whoever asks in a group that somebody pays for is answered on that
// account's key, also who has no account; when it is over, the asker pays again.
func TestGroupPaid(t *testing.T) {
	c, payer := newPaidClub(t)
	c.write(stranger, "@KikuBot who are you?", 0)
	if text := c.like(2, `who are you`); !strings.HasSuffix(text, "\n\n$0.000045, paid for the group") {
		t.Errorf("%q", text)
	}
	if account, key := c.paidBy(0); account != payer.AccountID || key != payer.KeyID {
		t.Errorf("paid by %d with %d, want %+v", account, key, payer)
	}
	c.write(stranger, "/pay@KikuBot", 0)
	c.like(3, `^Ada pays for what is asked here, up to \$1\.00 a day\. Today \(UTC\) it came to \$0\.00\.`)
	c.write(stranger, "/pay@KikuBot off", 0)
	c.like(4, `^Only administrators`)
	c.write(person, "/pay@KikuBot off", 0)
	c.like(5, `^Ada no longer pays`)
	c.write(person, "/pay@KikuBot", 0)
	c.like(6, `^Whoever asks here pays`)
	c.write(person, "/ask mine", 0)
	if text := c.like(7, `You said mine`); !strings.HasSuffix(text, "$0.000045") {
		t.Errorf("%q", text)
	}
	if account, key := c.paidBy(1); account != payer.AccountID || key != 0 {
		t.Errorf("paid by %d with %d", account, key)
	}
	c.write(stranger, "/ask again", 0)
	c.like(8, `start me in private`)
}

// TestGroupOffers: who may offer what, and who may end it.
func TestGroupOffers(t *testing.T) {
	c := newClub(t)
	c.write(stranger, "/pay@KikuBot 5", 0)
	c.like(1, `^Only administrators`)
	if err := c.telegram.Promote(stranger, c.chat.ID, true); err != nil {
		t.Fatal(err)
	}
	c.write(stranger, "/pay@KikuBot 5", 0)
	if m := c.last(2); !strings.Contains(m.Text, "takes an account of yours") || !strings.Contains(string(m.ReplyMarkup), "?start=group") {
		t.Errorf("%q %s", m.Text, m.ReplyMarkup)
	}
	if _, err := c.desk.Accounts.ByTelegram(t.Context(), stranger); !errors.Is(err, billing.ErrAccountUnknown) {
		t.Errorf("an account was opened: %v", err)
	}
	c.write(person, "/pay@KikuBot five", 0)
	c.like(3, `from \$0\.01 to \$1,?000`)
	for i, amount := range []string{"0", "1001", "-5", "5e3"} {
		c.write(person, "/pay@KikuBot "+amount, 0)
		c.like(4+i, `from \$0\.01`)
	}
	c.write(person, "/pay@KikuBot $2.50", 0)
	c.like(8, `^From now on Ada pays for what is asked here, up to \$2\.50`)
	c.open()
	c.write(stranger, "/pay@KikuBot 5", 0)
	c.like(9, `^Ada pays here already`)
	c.write(stranger, "/pay@KikuBot off", 0)
	c.like(10, `^Ada no longer pays`)
	if _, err := c.desk.Keys.GroupPayer(t.Context(), c.chat.ID); !errors.Is(err, billing.ErrGroupUnpaid) {
		t.Error(err)
	}
}

// TestGroupUsedUp: when cap or balance of who pays is used up the asker pays, which is said
// once a day; who has no account is told how to get one.
func TestGroupUsedUp(t *testing.T) {
	c, payer := newPaidClub(t)
	c.open()
	var why error = &billing.BudgetError{Scope: billing.BudgetKey, Period: billing.BudgetDay, Limit: 5, Spent: 5, Need: 1}
	c.answer = func(call llm.ChatCall) (llm.ChatAnswer, error) {
		if call.KeyID == payer.KeyID {
			return llm.ChatAnswer{}, why
		}
		return llm.ChatAnswer{Text: "An answer", CostNano: 45_000}, nil
	}
	now := time.Now()
	c.router.Now = func() time.Time { return now }
	c.write(stranger, "/ask one", 0)
	if text := c.like(3, `^An answer`); strings.Contains(text, "for the group") {
		t.Errorf("%q", text)
	}
	if text := c.told()[1].Text; !strings.Contains(text, "What Ada pays for this group in a day is used up") {
		t.Errorf("%q", text)
	}
	own, err := c.desk.Accounts.ByTelegram(t.Context(), stranger)
	if account, key := c.paidBy(1); err != nil || account != own.ID || key != 0 {
		t.Errorf("paid by %d with %d, want %d: %v", account, key, own.ID, err)
	}
	c.write(stranger, "/ask two", 0)
	c.like(4, `^An answer`)
	now, why = now.Add(24*time.Hour), &billing.PoorError{Need: 5, Available: 1}
	c.write(stranger, "/ask three", 0)
	c.like(6, `^An answer`)
	if text := c.told()[4].Text; !strings.Contains(text, "cannot at the moment") {
		t.Errorf("%q", text)
	}
	why = billing.ErrAccountInactive
	c.write(stranger, "/ask four", 0)
	c.like(7, `^An answer`)

	const third = stranger + 1
	c.telegram.User(third, "Cem")
	if err := c.telegram.Join(third, c.chat.ID); err != nil {
		t.Fatal(err)
	}
	c.write(third, "/ask five", 0)
	c.like(8, `start me in private`)
}

// inClub makes an update of a question in a group; another call with the same id is its
// redelivery.
func (r *rig) inClub(id int64, text string) *bot.Update {
	r.t.Helper()
	return r.decode(id, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,"text":%q,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":-1005,"type":"supergroup","title":"Friends"}}}`, id, id, text, person))
}

// TestGroupChargedOnce: whoever a question was to be paid by when it came first pays for it
// when it comes again, whatever was offered or ended meanwhile; where that cannot be, nobody
// does.
func TestGroupChargedOnce(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	if _, _, err := r.desk.Accounts.Open(ctx, billing.Profile{TelegramID: person, Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	payer, _, err := r.desk.Accounts.Open(ctx, billing.Profile{TelegramID: stranger, Name: "Bob"})
	if err != nil {
		t.Fatal(err)
	}
	offer := func() {
		t.Helper()
		testenv.Until(r.t, "the shard is open", func() bool {
			return r.desk.Keys.PayForGroup(ctx, billing.GroupOffer{AccountID: payer.ID, Chat: -1005, DayNano: billing.NanoPerUSD}) == nil
		})
	}
	crash := errors.New("as if the process had died")
	ended, dies := map[int64]bool{}, false
	r.answer = func(call llm.ChatCall) (llm.ChatAnswer, error) {
		if ended[call.KeyID] {
			return llm.ChatAnswer{}, billing.ErrKeyUnknown
		}
		if dies {
			return llm.ChatAnswer{}, crash
		}
		return llm.ChatAnswer{Text: "An answer"}, nil
	}
	fails := func(u *bot.Update) {
		t.Helper()
		dies = true
		testenv.Until(r.t, "it was about to be paid", func() bool {
			err := r.router.Handle(ctx, u)
			if !errors.Is(err, crash) && !errors.Is(err, bot.ErrTryLater) { // of a shard that opens only now
				t.Fatal(err)
			}
			return errors.Is(err, crash)
		})
		dies = false
	}
	wants := func(calls int, key int64) {
		t.Helper()
		if len(r.calls) != calls || r.calls[calls-1].KeyID != key {
			t.Fatalf("calls %+v, want %d, the last with key %d", r.calls, calls, key)
		}
	}
	fails(r.inClub(1, "/ask one")) // the asker was to pay
	offer()
	r.handle(r.inClub(1, "/ask one"))
	wants(2, 0)

	first, err := r.desk.Keys.GroupPayer(ctx, -1005)
	if err != nil {
		t.Fatal(err)
	}
	fails(r.inClub(2, "/ask two")) // on that key
	wants(3, first.KeyID)
	if _, err := r.desk.Keys.EndGroup(ctx, -1005, billing.House); err != nil {
		t.Fatal(err)
	}
	ended[first.KeyID] = true
	r.handle(r.inClub(2, "/ask two"))
	wants(4, first.KeyID)
	r.handle(r.inClub(3, "/ask three")) // of the asker's, since nobody pays now
	wants(5, 0)
}

// tells writes to the bot in private and waits for its nth message there.
func (c *club) tells(text string, n int) {
	c.t.Helper()
	if _, err := c.telegram.Send(telegramsim.Saying{User: person, Text: text}); err != nil {
		c.t.Fatal(err)
	}
	testenv.Until(c.t, "an answer to "+text, func() bool { return len(c.said()) == n })
}

// TestPayerMoves: who pays for a group pays for the supergroup that it becomes.
func TestPayerMoves(t *testing.T) {
	r := newRig(t)
	r.keeping()
	c := r.club()
	small, err := c.telegram.BasicGroup("Small", person)
	if err != nil {
		t.Fatal(err)
	}
	c.chat = small
	c.write(person, "/pay 1", 0)
	c.like(1, `^From now on Ada pays`)
	if c.chat, err = c.telegram.Upgrade(person, small.ID); err != nil {
		t.Fatal(err)
	}
	c.write(person, "@KikuBot one", 0)
	c.like(1, `paid for the group$`)
	if s, err := c.router.SponsorOf(t.Context(), small.ID); err != nil || !s.None() {
		t.Errorf("the old id is paid for, too: %+v, %v", s, err)
	}
}

// TestGroupEnds: who pays no longer does once the bot is removed, once they leave, or by
// the button in private; the new id of a group keeps its payer.
func TestGroupEnds(t *testing.T) {
	c, payer := newPaidClub(t)
	unpaid := func() bool {
		_, err := c.desk.Keys.GroupPayer(t.Context(), c.chat.ID)
		s, failed := c.router.SponsorOf(t.Context(), c.chat.ID)
		return errors.Is(err, billing.ErrGroupUnpaid) && failed == nil && s.None()
	}
	if err := c.telegram.RemoveBot(person, c.chat.ID, true); err != nil {
		t.Fatal(err)
	}
	testenv.Until(c.t, "the bot's removal ends it", unpaid)
	if err := c.telegram.AddBot(person, c.chat.ID); err != nil {
		t.Fatal(err)
	}
	c.settled()
	c.write(person, "/pay@KikuBot 3", 0)
	c.like(2, `up to \$3\.00`)
	c.open()
	if err := c.telegram.Leave(stranger, c.chat.ID); err != nil {
		t.Fatal(err)
	}
	c.settled()
	if unpaid() {
		t.Error("somebody else has left")
	}
	c.tells("/keys", 2)
	c.heard(`^Your API keys:\n• the group “Friends”: up to \$3\.00 a day, since .*; /pay ends it$`)
	c.tells("/pay", 3)
	c.heard(`^You pay for what is asked in these groups:\n• Friends: up to \$3\.00 a day, \$0\.00 today`)
	again, err := c.desk.Keys.GroupPayer(t.Context(), c.chat.ID)
	if err != nil || again.KeyID == payer.KeyID {
		t.Fatalf("%+v, %v", again, err)
	}
	messages := c.telegram.Messages(person)
	if _, err := c.telegram.Press(person, person, messages[len(messages)-1].MessageID, fmt.Sprint("payoff:", again.KeyID)); err != nil {
		t.Fatal(err)
	}
	testenv.Until(c.t, "the button ends it", unpaid)
	c.settled()
	c.heard(`^You pay for no group`)

	c.write(person, "/pay@KikuBot 3", 0)
	c.like(3, `up to \$3\.00`)
	if err := c.telegram.Leave(person, c.chat.ID); err != nil {
		t.Fatal(err)
	}
	testenv.Until(c.t, "leaving ends it", unpaid)
}

// TestPayerNotRead: while nobody can say who pays for a group, nobody does; its questions
// wait, and then go to who has offered to.
func TestPayerNotRead(t *testing.T) {
	pool := testenv.Postgres(t)
	c := newRigOn(t, pool).club()
	c.write(person, "/pay@KikuBot 1", 0)
	c.like(1, `^From now on Ada pays`)
	c.open()
	lock, err := testenv.Owner(t, pool).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(func() { _ = lock.Rollback(context.Background()) }) // else what follows fails
	t.Cleanup(free)
	if _, err := lock.Exec(t.Context(), `lock table api_keys in access exclusive mode`); err != nil {
		t.Fatal(err)
	}
	const update = 990_001
	question := c.decode(update, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,"text":"/ask who pays?",
		"entities":[{"type":"bot_command","offset":0,"length":4}],
		"from":{"id":%d,"is_bot":false,"first_name":"Bob"},"chat":{"id":%d,"type":"supergroup","title":"Friends"}}}`, update, update, stranger, c.chat.ID))
	failed := c.router.Handle(t.Context(), question)
	free()
	c.mu.Lock()
	made := len(c.calls)
	c.mu.Unlock()
	if !errors.Is(failed, bot.ErrTryLater) || made != 0 {
		t.Fatalf("%v, and %d calls were paid", failed, made)
	}
	payer, err := c.desk.Keys.GroupPayer(t.Context(), c.chat.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.write(stranger, "/ask and now?", 0)
	c.like(2, `paid for the group$`)
	if account, key := c.paidBy(0); account != payer.AccountID || key != payer.KeyID {
		t.Errorf("paid by %d with %d, want %+v", account, key, payer)
	}
}
