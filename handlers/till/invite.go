package till

import (
	"context"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

const startInvited = "ref_" // a payload of /start: this and an account's invitation

// Invite shows the link by which somebody invites others, and what it has come to.
func (r *Room) Invite(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	link := r.StartLink(startInvited + r.Accounts.Invitation(account.ID))
	text := q.Voice.Say("invite.plain")
	if credit := r.Accounts.Referral(); credit > 0 {
		came, earned, err := r.Accounts.Invitations(ctx, account.ID)
		if err != nil {
			return err
		}
		text = q.Voice.Say("invite.text", "credit", hall.Dollars(credit))
		if came > 0 {
			text += q.Voice.Say("invite.came", "n", came, "earned", hall.Dollars(earned))
		}
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text + beforeLink + link, Keyboard: r.linkButtons(q, link)})
	return err
}

// Arrive opens the account of whoever pressed Start, noting on the very first time by
// whose invitation they come. It says so where that may still bring them something.
func (r *Room) Arrive(ctx context.Context, q hall.Request) (account billing.Account, note string, err error) {
	code, found := strings.CutPrefix(q.Args, startInvited)
	referrer, known := r.Accounts.Inviting(code)
	if !found || !known {
		account, _, err = r.Open(ctx, q)
		return account, "", err
	}
	profile := hall.ProfileOf(q)
	if account, _, err = r.Accounts.OpenInvited(ctx, profile, referrer); err != nil {
		return account, "", err
	}
	r.Met(ctx, profile)
	invited, err := r.Accounts.IsInvited(ctx, account.ID)
	if err == nil && invited {
		note = q.Voice.Say("invite.welcome", "credit", hall.Dollars(r.Accounts.Referral()))
	}
	return account, note, err
}
