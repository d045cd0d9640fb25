package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// keepClaim is how long a resolved claim answers repeats: longer than anyone repeats the
// resolution of a call.
const keepClaim = 15 * time.Minute

// OrganisationLua is the source of the Lua functions organisation_read, organisation_plan
// and organisation_commit and of those they need. A script that is composed with it
// decides the organisation's limits and its budget in one atomic step:
//
//	KEYS  EpochKey(organisation), OrganisationKey, ClaimKey, ClaimsKey
//
//	local epoch, claim = shard_read(KEYS[1], KEYS[3])
//	if not epoch then … 'closed'
//	local org = organisation_read(KEYS[2])
//	if not org then … 'missing'
//	(org.limits, packed, are expanded and checked)
//	local status, n = organisation_plan(org, claim, want, least, now in ms)
//	if status == 'ok' then (the limits are added) organisation_commit(org, …, n, deadline in ms) end
//	… status, n, org.counted, org.day
//
// What a call has to do with its organisation, whose id the account's hash names:
//
//  1. Before the account's hold is asked for, the script above; ClaimOutcome reads what it
//     answered. n is all that the account may then be asked to hold. After 'claimed' it is
//     the same call, asked for again. After 'done' the claim was resolved: the account's
//     hold is, too, and should it not be, nothing may be held.
//  2. Where anything denies afterwards, or the hold is released: Organisations.Resolve with 0,
//     if org.counted.
//  3. With the settlement, which names the organisation and the day, counted or not:
//     Organisations.Resolve with what was captured, if org.counted. It may be sent along with
//     the settlement, with the lesser of cost and hold.
//
// Steps 2 and 3 may be left out or fail: the owner of the organisation's shard looks after
// claims that pass their deadline and resolves them by what became of their holds. A
// deadline is not renewed; while the hold lives, the claim does.
var OrganisationLua = functionsLua + budgetsLua + organisationLua

// OrganisationKey names the hash of an organisation.
func OrganisationKey(organisation int64) string {
	return stream.ShardOf(organisation).Key("org", strconv.FormatInt(organisation, 10))
}

// ClaimsKey names the index of the claims of the organisation's shard that are to be
// resolved: claim → when its owner looks after it, in ms.
func ClaimsKey(organisation int64) string { return claimsKey(stream.ShardOf(organisation)) }

// ClaimKey names what the call of a hold has of its organisation's budget.
func ClaimKey(organisation, account int64, holdID string) string {
	return stream.ShardOf(organisation).Key("claim", Claim{organisation, account, holdID}.name())
}

func claimsKey(s stream.Shard) string { return s.Key("claims") }

// lostOrganisationsKey names the set of organisations whose hash a script looked for in
// vain.
func lostOrganisationsKey(s stream.Shard) string { return s.Key("lostorg") }

// Claim is what a call has of the budget of its account's organisation.
type Claim struct {
	Organisation int64
	AccountID    int64
	HoldID       string
}

func (c Claim) name() string {
	return strconv.FormatInt(c.Organisation, 10) + ":" + strconv.FormatInt(c.AccountID, 10) + ":" + c.HoldID
}

// parseClaim reads what name wrote.
func parseClaim(name string) (c Claim, err error) {
	parts := strings.SplitN(name, ":", 3)
	if len(parts) == 3 {
		c.HoldID = parts[2]
		c.Organisation, c.AccountID, err = twoInts(parts[0], parts[1])
	}
	if len(parts) < 3 || err != nil || !ValidHoldID(c.HoldID) {
		return Claim{}, fmt.Errorf("billing: a claim is named %.60q", name)
	}
	return c, nil
}

// ClaimOutcome reads a status of organisation_plan, or 'closed' or 'missing'. done says
// that the claim was resolved before. need is what the call cannot do without, told in a
// *BudgetError. Errors besides: ErrAccountInactive, ErrClosed.
func ClaimOutcome(status string, need int64) (done bool, err error) {
	switch status {
	case "ok", "claimed":
		return false, nil
	case "done":
		return true, nil
	case "missing":
		return false, errNoOrganisation
	}
	_, _, err = ReserveOutcome(status, 0, need)
	return false, err
}

// errNoOrganisation says that Redis has no hash of an organisation. Never a reason for a
// call that nobody counts.
var errNoOrganisation = fmt.Errorf("%w: no hash of the organisation", ErrClosed)

// Resolve counts what a call captured, in nano-USD, in place of what it claimed; 0: the
// call did not happen. One round trip, which may be repeated; of two words the higher one
// stands. ErrHoldID, ErrAmount, ErrClosed: the shard's owner does it later.
func (o *Organisations) Resolve(ctx context.Context, c Claim, captured int64) error {
	if !ValidHoldID(c.HoldID) {
		return ErrHoldID
	}
	if captured < 0 || captured > MaxNano {
		return ErrAmount
	}
	return o.scripts.resolveClaim(ctx, o.redis, c, captured)
}

func (s *scripts) resolveClaim(ctx context.Context, client redis.Scripter, c Claim, captured int64) error {
	status, err := s.claim.Run(ctx, client,
		[]string{OrganisationKey(c.Organisation), ClaimKey(c.Organisation, c.AccountID, c.HoldID), ClaimsKey(c.Organisation)},
		captured, keepClaim.Milliseconds()).Text()
	if err != nil {
		return redisError("resolve a claim", err)
	}
	switch status {
	case "resolved", "replayed":
		return nil
	case "missing":
		return errNoOrganisation
	}
	return errors.New("billing: unknown outcome " + strconv.Quote(status) + " of a claim")
}
