package billing

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Actor is who changed something, as the audit log names them. The zero Actor
// is the house.
type Actor string

// House is the program itself: a schedule, a welcome, a rebuild.
const House Actor = "house"

const (
	maxLogin  = 80
	maxAction = 64
)

// Operator is a person at the command line, by their login on that machine.
func Operator(login string) Actor {
	if login = cleanText(login, maxLogin); login == "" {
		login = "unknown"
	}
	return Actor("operator:" + login)
}

// OfAccount is an account's owner.
func OfAccount(accountID int64) Actor { return Actor("account:" + strconv.FormatInt(accountID, 10)) }

// OfKey is whoever used one of an account's API keys.
func OfKey(accountID, keyID int64) Actor {
	return OfAccount(accountID) + Actor("/key:"+strconv.FormatInt(keyID, 10))
}

// Entry is a line of the audit log. Details hold no secret and nothing personal:
// they stay when the person leaves.
type Entry struct {
	Actor     Actor
	Action    string // such as "key.created"
	AccountID int64  // 0: of no account
	KeyID     int64  // 0: of no key
	Details   map[string]any
}

// Actions of the audit log.
const (
	actionRegistered = "account.registered"
	actionCredited   = "account.credited"
	actionKeyMade    = "key.created"
	actionKeyRevoked = "key.revoked"
	actionKeyLimits  = "key.limits"
	actionKeyBudget  = "key.budget"
	actionKeyBound   = "key.restrictions"
	actionKeyNamed   = "key.renamed"
)

// audit writes the entry inside tx, the transaction of the change itself: there is
// no change without its line and no line without its change.
func audit(ctx context.Context, tx pgx.Tx, e Entry) error {
	if e.Actor == "" {
		e.Actor = House
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	_, err := tx.Exec(ctx, `insert into audit_log (actor, action, account_id, key_id, details)
		values ($1, $2, nullif($3::bigint, 0), nullif($4::bigint, 0), $5)`,
		string(e.Actor), cleanText(e.Action, maxAction), e.AccountID, e.KeyID, e.Details)
	if err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}
