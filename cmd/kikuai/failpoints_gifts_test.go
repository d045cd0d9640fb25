package main

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// gifts lets a person give twice by links, of which a friend takes one and nobody the
// other, and invite somebody who then pays.
func (p *passage) gifts(ctx context.Context, serial int) {
	s := p.w.s
	who, friend, guest := int64(7_700_000+serial), int64(7_800_000+serial), int64(7_900_000+serial)
	for id, name := range map[int64]string{who: "Kim", friend: "Bob", guest: "Ann"} {
		s.telegram.User(id, name)
	}
	p.buys(ctx, who)
	p.say(ctx, who, "/gift 0.10", "sendMessage", `gift of \$0\.10 is ready`)
	taken, takenName := p.link(ctx, who, `gift of \$0\.10 is ready`)
	p.say(ctx, who, "/gift 0.20", "sendMessage", `gift of \$0\.20 is ready`)
	_, lateName := p.link(ctx, who, `gift of \$0\.20 is ready`)
	for ctx.Err() == nil && !p.credits(ctx, takenName) { // the ledger may be a moment behind the link
		if _, err := s.telegram.StartBot(friend, taken); err != nil {
			s.t.Errorf("%s: %v", p.mark, err)
		}
		sleep(ctx, time.Second)
	}
	p.heard(ctx, friend, "sendMessage", `You got a gift of \$0\.10`)
	p.w.credited(takenName)
	for ctx.Err() == nil && !p.credits(ctx, lateName) {
		_, err := p.w.pool.Exec(ctx, `update gifts set expires_at = now() where 'gift:' || id = $1 and settled_at is null`, lateName)
		if err == nil {
			_, err = p.w.pool.Exec(ctx, `update jobs set next_at = now() where name = 'gifts'`)
		}
		if err != nil {
			s.t.Errorf("%s: a gift that nobody takes: %v", p.mark, err)
		}
		sleep(ctx, 500*time.Millisecond)
	}
	p.w.credited(lateName)

	p.say(ctx, who, "/invite", "sendMessage", `both of you get`)
	invitation, _ := p.link(ctx, who, `both of you get`)
	if _, err := s.telegram.StartBot(guest, invitation); err != nil {
		s.t.Errorf("%s: %v", p.mark, err)
	}
	p.heard(ctx, guest, "sendMessage", `each of you gets`)
	p.buys(ctx, guest)
	var account int64
	if err := p.w.pool.QueryRow(ctx, `select id from accounts where telegram_id = $1`, guest).Scan(&account); err != nil {
		s.t.Errorf("%s: who was invited: %v", p.mark, err)
	}
	for _, side := range []string{"came", "invited"} {
		p.w.credited("referral:" + strconv.FormatInt(account, 10) + ":" + side)
	}
}

func (p *passage) buys(ctx context.Context, who int64) {
	p.say(ctx, who, "/topup 100", "sendInvoice", "")
	invoice := p.heard(ctx, who, "sendInvoice", "").Message.MessageID
	p.pays(ctx, telegramsim.Purchase{User: who, Message: invoice})
	p.heard(ctx, who, "sendMessage", `^Paid`)
}

// link is what the link in a message says to the bot, and what the credit of a gift is named.
func (p *passage) link(ctx context.Context, who int64, pattern string) (payload, name string) {
	text := p.heard(ctx, who, "sendMessage", pattern).Params["text"]
	found := regexp.MustCompile(`start=((?:gift|ref)_([0-9a-z]+)-[0-9a-f]+)$`).FindStringSubmatch(text)
	if found == nil {
		p.w.s.t.Errorf("%s: no link in %q", p.mark, text)
		return "", ""
	}
	const base = 36
	id, err := strconv.ParseInt(found[2], base, 64)
	if err != nil {
		p.w.s.t.Errorf("%s: %v", p.mark, err)
	}
	return found[1], "gift:" + strconv.FormatInt(id, 10)
}

// credits tells whether the books have a credit of that name.
func (p *passage) credits(ctx context.Context, name string) (there bool) {
	err := p.w.pool.QueryRow(ctx, `select exists (select from credits where idempotency_key = $1)`, name).Scan(&there)
	if err != nil {
		p.w.s.t.Errorf("%s: %v", p.mark, err)
	}
	return there
}
