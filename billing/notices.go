package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Kinds of notice.
const (
	NoticeLowBalance          = "low_balance" // written where events are posted; details LowBalance
	NoticeToppedUp            = "topped_up"
	NoticeRefunded            = "refunded"
	NoticeSubscriptionRenewed = "subscription_renewed"
	NoticeSubscriptionEnded   = "subscription_ended"
	NoticeGiftTaken           = "gift_taken"    // to the giver; details Given
	NoticeGiftReturned        = "gift_returned" // the same: nobody took it in time
	NoticeInvited             = "invited"       // to who came by an invitation; details Invited
	NoticeInviting            = "inviting"      // to who invited them; the same
)

// LowBalance are the details of a notice that the balance fell below the threshold.
type LowBalance struct {
	BalanceNano   int64 `json:"balance_nano"`
	ThresholdNano int64 `json:"threshold_nano"`
}

// How long one who claims notices has for sending them. Who dies with a single one leaves
// somebody without the answer that they wait for.
const (
	noticesHeld = time.Minute
	noticeHeld  = 30 * time.Second
)

// Notice is something to tell an account's owner.
type Notice struct {
	AccountID int64
	Kind      string
	UniqueKey string // a second notice of it is left out; empty: there is none
	Details   any    // a JSON object; nothing secret or personal
}

// notice writes it down inside tx, the transaction of what it tells.
func notice(ctx context.Context, tx pgx.Tx, n Notice) error {
	if n.Details == nil {
		n.Details = struct{}{}
	}
	details, err := json.Marshal(n.Details)
	if err != nil {
		return fmt.Errorf("write a notice: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into notices (account_id, kind, unique_key, details)
		values ($1, $2, nullif($3, ''), $4) on conflict (unique_key) do nothing`,
		n.AccountID, n.Kind, n.UniqueKey, string(details))
	if err != nil {
		return fmt.Errorf("write a notice: %w", err)
	}
	return nil
}

// Notices are what the bot has yet to tell. A notice is claimed, sent and then marked
// sent: who dies between sends it again.
type Notices struct{ postgres *pgxpool.Pool }

// DueNotice is a notice that the caller has claimed and is to send.
type DueNotice struct {
	ID         int64
	AccountID  int64
	TelegramID int64 // 0: the person left, and there is nobody to tell
	Kind       string
	Details    json.RawMessage
	CreatedAt  time.Time
}

const claimNotices = `
	with due as (
		select id from notices where sent_at is null and due_at <= now()
			and ($2::text = '' or unique_key = $2)
		order by due_at, id limit $1 for update skip locked
	)
	update notices n set due_at = now() + $3::interval
	from due, accounts a where n.id = due.id and a.id = n.account_id
	returning n.id, n.account_id, coalesce(a.telegram_id, 0), n.kind, n.details, n.created_at`

// Claim takes at most limit notices that are due, for a minute: until then nobody else
// is given them.
func (n *Notices) Claim(ctx context.Context, limit int) ([]DueNotice, error) {
	return n.claim(ctx, limit, "", noticesHeld)
}

// ClaimOne takes the notice with a unique key, if it is still to be sent and nobody is
// sending it, for thirty seconds.
func (n *Notices) ClaimOne(ctx context.Context, uniqueKey string) ([]DueNotice, error) {
	return n.claim(ctx, 1, uniqueKey, noticeHeld)
}

func (n *Notices) claim(ctx context.Context, limit int, uniqueKey string, held time.Duration) ([]DueNotice, error) {
	rows, err := n.postgres.Query(ctx, claimNotices, limit, uniqueKey, held)
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DueNotice])
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	return due, nil
}

// Sent marks a notice as told, or as not worth telling any more.
func (n *Notices) Sent(ctx context.Context, id int64) error {
	if _, err := n.postgres.Exec(ctx, `update notices set sent_at = now() where id = $1 and sent_at is null`, id); err != nil {
		return fmt.Errorf("mark a notice: %w", err)
	}
	return nil
}

// Later puts a claimed notice off.
func (n *Notices) Later(ctx context.Context, id int64, wait time.Duration) error {
	_, err := n.postgres.Exec(ctx, `update notices set due_at = now() + $2::interval where id = $1 and sent_at is null`, id, wait)
	if err != nil {
		return fmt.Errorf("put a notice off: %w", err)
	}
	return nil
}
