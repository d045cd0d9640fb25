package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// stars lets a person pay twice, have one payment given back by an operator and the
// other by Telegram, pay once more without the bot being told, and leave.
func (p *passage) stars(ctx context.Context, serial int) {
	s := p.w.s
	who := s.telegram.User(int64(7_500_000+serial), "Ada").ID
	p.say(ctx, who, "/topup 10", "sendInvoice", "")
	invoice := p.heard(ctx, who, "sendInvoice", "").Message.MessageID
	first := p.pays(ctx, telegramsim.Purchase{User: who, Message: invoice})
	second := p.pays(ctx, telegramsim.Purchase{User: who, Message: invoice})
	_, killed := s.insist(p.mark, "admin", "refund", "--charge-id", first, "--json")
	p.noteKilled(killed)
	p.w.refunds(first)
	if err := s.telegram.RefundByTelegram(second); err != nil {
		s.t.Errorf("%s: %v", p.mark, err)
	}
	p.w.refunds(second)
	p.found(ctx, p.pays(ctx, telegramsim.Purchase{User: who, Message: invoice, Unannounced: true}))

	leaver := s.telegram.User(int64(7_600_000+serial), "Eve").ID
	p.say(ctx, leaver, "hello", "sendMessage", `balance \$`)
	p.say(ctx, leaver, "/deleteaccount", "sendMessage", `forfeited`)
	question := p.heard(ctx, leaver, "sendMessage", `forfeited`)
	account := regexp.MustCompile(`delete:(\d+)`).FindString(question.Params["reply_markup"])
	if _, err := s.telegram.Press(leaver, leaver, question.Message.MessageID, account); err != nil {
		s.t.Errorf("%s: press %s: %v", p.mark, account, err)
	}
	p.heard(ctx, leaver, "editMessageText", `deleted`)
}

// feedbackReader is the operator whom feedback goes to.
const feedbackReader = 7_400_000

// feedback lets a person write to the operator, by way of the outbox: it arrives, and is
// noted as sent, by another server once the claim of the one that was killed has run out.
func (p *passage) feedback(ctx context.Context, serial int) {
	s := p.w.s
	who := s.telegram.User(int64(feedbackReader+1+serial), "Lin").ID
	p.say(ctx, who, fmt.Sprintf("/feedback passage %d", serial), "sendMessage", "")
	p.heard(ctx, feedbackReader, "sendMessage", fmt.Sprintf(`passage %d$`, serial))
	for ctx.Err() == nil {
		var waiting int
		err := p.w.pool.QueryRow(ctx, `select count(*) from outbox where state = 'waiting' and name like 'feedback:%'`).Scan(&waiting)
		if err == nil && waiting == 0 {
			return
		}
		sleep(ctx, 500*time.Millisecond)
	}
	s.t.Errorf("%s: feedback is not noted as sent", p.mark)
}

// found makes the comparison with Telegram due until it has found the payment.
func (p *passage) found(ctx context.Context, charge string) {
	for {
		var there bool
		err := p.w.pool.QueryRow(ctx, `select exists (select from payments where charge_id = $1)`, charge).Scan(&there)
		if err == nil && !there {
			_, err = p.w.pool.Exec(ctx, `update jobs set next_at = now() where name = 'stars'`)
		}
		if err != nil {
			p.w.s.t.Errorf("%s: an untold payment: %v", p.mark, err)
		}
		if err != nil || there {
			return
		}
		sleep(ctx, 500*time.Millisecond)
	}
}

// say writes to the bot and waits for its answer.
func (p *passage) say(ctx context.Context, who int64, text, method, pattern string) {
	if _, err := p.w.s.telegram.Say(who, text); err != nil {
		p.w.s.t.Errorf("%s: %v", p.mark, err)
	}
	p.heard(ctx, who, method, pattern)
}

// heard is the first call to a chat that is like the pattern.
func (p *passage) heard(ctx context.Context, who int64, method, pattern string) telegramsim.Call {
	like := regexp.MustCompile(pattern)
	call, err := p.w.s.telegram.WaitSent(ctx, who, func(c telegramsim.Call) bool {
		return c.Method == method && like.MatchString(c.Params["text"])
	})
	if err != nil {
		p.w.s.t.Errorf("%s: %d heard no %s like %q: %v", p.mark, who, method, pattern, err)
		call.Message = &telegramsim.Message{}
	}
	return call
}

// pays pays, again where the server was killed before it could answer, and returns the
// charge.
func (p *passage) pays(ctx context.Context, purchase telegramsim.Purchase) string {
	for {
		paid, err := p.w.s.telegram.Pay(ctx, purchase)
		if err == nil {
			p.w.paid(paid.Charge)
			return paid.Charge
		}
		if !errors.Is(err, telegramsim.ErrCheckoutUnanswered) || ctx.Err() != nil {
			p.w.s.t.Errorf("%s: pay: %v", p.mark, err)
			return ""
		}
	}
}
