package handlers

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	at, err := c.router.Till.InvoiceLink(c.ctx, account.ID, 50, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: person, Link: at}); err != nil {
		t.Fatal(err)
	}
	c.balance(account.ID, welcomeNano+50*starNano)
	c.tell(person, "remember me")
	c.hears(person, `^An answer`)
	c.tell(person, "/newkey laptop")
	c.hears(person, `“laptop”`)

	c.tell(person, "/deleteaccount")
	question := c.hears(person, `\$1\.15 is forfeited`)
	c.press(person, question, "delete:keep")
	c.hears(person, `^Nothing was deleted`)
	if found, err := c.desk.Accounts.ByTelegram(c.ctx, person); err != nil || found.ID != account.ID {
		t.Errorf("%+v, %v", found, err)
	}
	c.tell(person, "/deleteaccount")
	question = c.hears(person, `\$1\.15 is forfeited`)
	c.press(person, question, "delete:1")
	c.hears(person, `^Your account is deleted`)
	if s := c.telegram.Subscriptions(person)[0]; !s.CanceledByBot {
		t.Error("Telegram goes on charging")
	}
	if n := c.redis.Exists(c.ctx, stream.ShardOfChat(person).Key("talk", strconv.Itoa(person), "0")).Val(); n != 0 {
		t.Error("the conversation is still there")
	}
	keys, err := c.desk.Keys.List(c.ctx, account.ID)
	if err != nil || len(keys) != 1 || keys[0].RevokedAt.IsZero() || keys[0].Name != "" {
		t.Errorf("keys %+v, %v", keys, err)
	}
	if sum, err := c.desk.Ledger.Sum(c.ctx, account.ID); err != nil || sum != welcomeNano+50*starNano {
		t.Errorf("the ledger says %d, %v", sum, err)
	}
	// The button again, as after a crash between the deletion and its acknowledgement.
	c.handle(c.decode(99, fmt.Sprintf(`{"update_id":99,"callback_query":{"id":"99","chat_instance":"1","data":"delete:%d",
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"message":{"message_id":%d,"date":1790000000,"chat":{"id":%d,"type":"private"}}}}`,
		account.ID, person, question.MessageID, person)))
	if found, err := c.desk.Accounts.ByTelegram(c.ctx, person); !errors.Is(err, billing.ErrAccountUnknown) {
		t.Errorf("deleting opened %+v, %v", found, err)
	}
	c.tell(person, "/deleteaccount")
	c.hears(person, `^There is no account`)

	again := c.start(person)
	if again.ID == account.ID || again.Available != 0 {
		t.Errorf("came back to %+v", again)
	}
}

func TestTextsAreThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, c := range [][2]string{
		{"/terms", `prepaid`}, {"/privacy", `keyed hash`}, {"/paysupport", `Something wrong with a payment`}, {"/help", `/topup`},
	} {
		r.handle(r.message(int64(4000+i), c[0]))
		r.heard(c[1])
	}
	if _, err := r.desk.Payments.Paid(t.Context(), billing.Charge{ID: "stx-1", Provider: billing.ProviderStars, Amount: 10,
		Currency: billing.CurrencyStars, TelegramID: person}); err != nil {
		t.Fatal(err)
	}
	r.router.Support = "@KikuHelp"
	r.say("/paysupport")
	text := r.heard(`@KikuHelp`)
	if !strings.Contains(text, "stx-1") || !strings.Contains(text, "⭐ 10 → $0.13, paid") {
		t.Errorf("said %q", text)
	}
	for _, text := range []string{english(t).Say("legal.terms"), english(t).Say("legal.privacy")} {
		if len(text) > 4096 {
			t.Errorf("%d bytes", len(text))
		}
	}
	menu := map[string]bool{}
	for _, command := range listed(english(t), inPrivate) {
		menu[command.Command] = true
		if r.router.commands[command.Command] == nil {
			t.Errorf("the menu has /%s, which is no command", command.Command)
		}
	}
	for name := range r.router.commands {
		if !menu[name] && name != "start" {
			t.Errorf("/%s is not in the menu", name)
		}
	}
}
