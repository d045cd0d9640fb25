package billing

import (
	"strconv"

	"github.com/kikuai/kikuai/internal/stream"
)

// Fields of an API key's record in Redis, as scripts of other packages read them.
const (
	KeyFieldAccount = "account" // decimal account id
	KeyFieldID      = "key_id"  // decimal key id
	KeyFieldMAC     = "mac"     // hex; PresentedKey.Verify compares it
	KeyFieldLimits  = "limits"  // Limits.Packed; requests per minute of 0 are the default
	KeyFieldName    = "name"
	KeyFieldStatus  = "status" // StatusActive or StatusRestricted; a revoked key has no record
	KeyFieldBudget  = "budget" // day|month in nano-USD, 0: none; missing: never had one
	KeyFieldOnly    = "only"   // Restrictions.packed; of a restricted key alone
)

// Fields of an account's hash in Redis.
const (
	AccountFieldAvailable = "available" // nano-USD
	AccountFieldHeld      = "held"      // nano-USD
	AccountFieldStatus    = "status"    // StatusActive, or the account may not spend
	AccountFieldCreditSeq = "credit_seq"
	AccountFieldName      = "name"
	AccountFieldBudget    = "budget" // day|month in nano-USD, 0: none; missing: never had one
	AccountFieldTier      = "tier"   // whose limits the account has; missing: none
	AccountFieldOrg       = "org"    // id of its organisation; missing: none
	AccountFieldLimitsSeq = "limits_seq"
	AccountFieldBudgetSeq = "budget_seq"
	AccountFieldSpent     = "spent" // day|nano|month|nano; "spent:<key id>" is a key's
)

// AcctKey names the hash of an account's hot balance.
func AcctKey(account int64) string {
	return stream.ShardOf(account).Key("acct", strconv.FormatInt(account, 10))
}

// KeyKey names the record of an API key.
func KeyKey(account int64, locator string) string {
	return stream.ShardOf(account).Key("key", locator)
}

// HoldKey names the record of a hold.
func HoldKey(account int64, holdID string) string {
	return stream.ShardOf(account).Key("hold", holdID)
}

// ExpKey names the expiry index of the account's shard: hold id → deadline in ms.
func ExpKey(account int64) string { return stream.ShardOf(account).Key("exp") }

// EpochKey names the epoch of the account's shard; while it is missing the
// shard is closed.
func EpochKey(account int64) string { return stream.ShardOf(account).Key("epoch") }

func evKey(s stream.Shard) string    { return s.Key("ev") }
func epochKey(s stream.Shard) string { return s.Key("epoch") }
func expKey(s stream.Shard) string   { return s.Key("exp") }

// markKey names what a hold's call had cost at its last checkpoint.
func markKey(account int64, holdID string) string {
	return stream.ShardOf(account).Key("mark", holdID)
}

// takenKey names the proof that Redis took a debit.
func takenKey(account int64, reference string) string {
	return stream.ShardOf(account).Key("taken", reference)
}

// lostKey names the set of accounts whose hash a script looked for in vain.
func lostKey(s stream.Shard) string { return s.Key("lost") }

// buildKey names the ticket of the one who rebuilds the shard.
func buildKey(s stream.Shard) string { return s.Key("build") }

// goneKey names the tombstone that keeps a revoked key from being projected.
func goneKey(account int64, locator string) string {
	return stream.ShardOf(account).Key("gone", locator)
}

// telegramKey names the map from Telegram ids to accounts that the id lives on.
func telegramKey(telegramID int64) string {
	return stream.ShardOfChat(telegramID).Key("tguser")
}
