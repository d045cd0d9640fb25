package handlers

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const friend = person + 1

// buys tops an account up.
func (c *counter) buys(who, stars int64) {
	c.t.Helper()
	c.tell(who, fmt.Sprintf("/topup %d", stars))
	c.pay(who, c.invoice(who, stars))
	c.hears(who, fmt.Sprintf(`^Paid: ⭐ %d`, stars))
}

// payload is what the link in a message says to the bot.
func (c *counter) payload(m *telegramsim.Message) string {
	c.t.Helper()
	found := regexp.MustCompile(`https://t\.me/KikuBot\?start=([A-Za-z0-9_-]{1,64})$`).FindStringSubmatch(m.Text)
	if found == nil {
		c.t.Fatalf("no link in %q", m.Text)
	}
	for _, button := range []string{`"copy_text":{"text":"https://t.me/KikuBot?start=` + found[1] + `"}`, `"url":"https://t.me/share/url?url=https`} {
		if !strings.Contains(string(m.ReplyMarkup), button) {
			c.t.Errorf("no button %s: %s", button, m.ReplyMarkup)
		}
	}
	return found[1]
}

func (c *counter) opens(who int64, payload string) {
	c.t.Helper()
	if _, err := c.telegram.StartBot(who, payload); err != nil {
		c.t.Fatal(err)
	}
}

// agree holds the books against themselves, once all that Redis took is in them.
func (c *counter) agree() {
	c.t.Helper()
	differences, err := c.desk.Ledger.Check(c.ctx)
	if err != nil || len(differences) > 0 {
		c.t.Errorf("the books differ: %+v, %v", differences, err)
	}
}

func (c *counter) funded(n int) {
	c.t.Helper()
	account, err := c.desk.Accounts.ByTelegram(c.ctx, person)
	if err != nil {
		c.t.Fatal(err)
	}
	testenv.Until(c.t, "the ledger has the gifts", func() bool {
		gifts, err := c.desk.Gifts.Open(c.ctx, account.ID)
		return err == nil && len(gifts) == n
	})
}

// TestGiftByLink: /gift takes the money at once, its link gives it to the first who opens
// it, new to the bot or not, and to nobody a second time.
func TestGiftByLink(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	c.telegram.User(friend, "Bob")
	giver := c.start(person)
	c.tell(person, "/gift 0.10")
	c.hears(person, `^Gifts are made of money that you added .* you can give \$0\.00 now`)
	c.buys(person, 100) // $1.30
	c.tell(person, "/gift")
	c.hears(person, `^A gift is money`)
	c.tell(person, "/gift $1.25")
	made := c.hears(person, `^Your gift of \$1\.25 is ready and off your balance`)
	c.balance(giver.ID, welcomeNano+1_300_000_000-1_250_000_000)
	payload := c.payload(made)
	c.funded(1)
	c.tell(person, "/gift")
	if listed := c.hears(person, `Nobody has taken these yet:\n\n\$1\.25, until`); !strings.Contains(listed.Text, payload) {
		t.Errorf("not listed: %s", listed.Text)
	}
	c.opens(friend, payload)
	c.hears(friend, `^You got a gift of \$1\.25! Your balance is \$1\.75`)
	c.hears(person, `^Your gift of \$1\.25 was taken`)
	c.opens(friend, payload)
	testenv.Until(c.t, "told once more", func() bool { return c.heardTimes(friend, `^You got a gift of \$1\.25! Your balance is \$1\.75`) == 2 })
	const third = person + 2
	c.telegram.User(third, "Eve")
	c.opens(third, payload)
	c.hears(third, `^Somebody was quicker`)
	for _, forged := range []string{"gift_", "gift_1", "gift_1-00000000000000000000000000000000", payload + "0"} {
		c.opens(third, forged)
	}
	testenv.Until(c.t, "none of the forged ones is taken", func() bool { return c.heardTimes(third, `^This is no link of a gift`) == 4 })
	if n := c.heardTimes(person, `was taken`); n != 1 {
		t.Errorf("the giver was told %d times", n)
	}
	c.agree()
	c.lawful()
}

// TestGiftTakenBack: by a button, and by itself after seven days.
func TestGiftTakenBack(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.buys(person, 100)
	c.tell(person, "/gift 0.5")
	c.press(person, c.hears(person, `^Your gift of \$0\.50 is ready`), "gift:")
	testenv.Until(c.t, "it is back", func() bool {
		for _, m := range c.telegram.Messages(person) {
			if m.FromBot() && strings.HasPrefix(m.Text, "This gift is being wrapped") { // the ledger did not have it yet
				c.funded(1)
				c.press(person, m, "gift:")
				return true
			}
		}
		return c.heardTimes(person, `^Your gift of \$0\.50 is back`) > 0
	})
	c.hears(person, `^Your gift of \$0\.50 is back\. Your balance is \$1\.80`)
	c.tell(person, "/deleteaccount")
	if asked := c.hears(person, `^This deletes your account`); strings.Contains(asked.Text, "Gifts of yours") {
		t.Error("told of gifts that there are not")
	}
	c.tell(person, "/gift 0.6")
	late := c.payload(c.hears(person, `^Your gift of \$0\.60 is ready`))
	c.funded(1)
	c.tell(person, "/deleteaccount")
	c.hears(person, `Gifts of yours that nobody has taken yet`)
	if _, err := c.pool.Exec(c.ctx, `update gifts set expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	if err := c.desk.Gifts.Return(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.sendNotices(`^Nobody took your gift of \$0\.60 in time`)
	c.balance(account.ID, welcomeNano+1_300_000_000)
	c.telegram.User(friend, "Bob")
	c.opens(friend, late)
	c.hears(friend, `^This gift went back`)
	c.agree()
	c.lawful()
}

func TestGiftsThatAreNone(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	c.start(person)
	asked := []string{"0", "-5", "+5", "0.001", "101", "1e3", "5,5", "٥", "５", "$", "5 dollars", "NaN", "99999999999999999999", "0.0000000001"}
	for _, text := range asked {
		c.tell(person, "/gift "+text)
	}
	testenv.Until(c.t, "all are answered", func() bool { return c.heardTimes(person, `^A gift is from \$0\.01 to \$100`) == len(asked) })
	c.lawful()
}

// TestInvitation: both sides are credited when who came pays for the first time.
func TestInvitation(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	c.telegram.User(friend, "Bob")
	referrer := c.start(person)
	c.tell(person, "/invite")
	payload := c.payload(c.hears(person, `adds at least \$0\.25 to their balance, both of you get \$0\.25`))
	c.opens(friend, payload)
	c.hears(friend, `^Hello, Bob![\s\S]*once you add at least \$0\.25, each of you gets \$0\.25`)
	c.buys(friend, 50) // $0.65
	c.sendNotices(`^Somebody whom you invited has added money: you got \$0\.25`)
	c.hears(friend, `^For coming by a friend's invitation you got \$0\.25`)
	c.balance(referrer.ID, welcomeNano+referralNano)
	came, err := c.desk.Accounts.ByTelegram(c.ctx, friend)
	if err != nil {
		t.Fatal(err)
	}
	c.balance(came.ID, welcomeNano+650_000_000+referralNano)
	c.tell(person, "/invite")
	c.hears(person, `Came so far: 1\. You got \$0\.25 for them\.`)
	c.opens(person, payload) // one's own, and not for the first time
	testenv.Until(c.t, "welcomed as anybody", func() bool { return c.heardTimes(person, `^Hello, Ada!`) == 2 })
	if n := c.heardTimes(person, `friend's invitation`); n != 0 {
		t.Error("somebody invited themselves")
	}
	c.agree()
	c.lawful()
}

func TestApp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/app")
	r.heard(`^The app is not available here`)
	c := openCounter(t)
	c.start(person)
	c.tell(person, "/app")
	shown := c.hears(person, `^Balance, spending and keys`)
	if !strings.Contains(string(shown.ReplyMarkup), `"web_app":{"url":"https://bot.example.org/webapp/"}`) {
		t.Errorf("buttons %s", shown.ReplyMarkup)
	}
	c.tell(person, "/newkey laptop")
	c.hears(person, `^Your new key`)
	c.tell(person, "/keys")
	if listed := c.hears(person, `^Your API keys:`); !strings.Contains(string(listed.ReplyMarkup), `"copy_text":{"text":"https://example.org/v1"}`) {
		t.Errorf("buttons %s", listed.ReplyMarkup)
	}
	c.lawful()
}
