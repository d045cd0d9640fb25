package billing

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// ReserveLua is the source of the Lua functions acct_read, reserve_plan and
// reserve_commit and of those they need, each described above itself. Other scripts are
// composed with it, so that one atomic call can decide authentication, limits and the hold.
var ReserveLua = functionsLua + budgetsLua + reserveLua

var (
	//go:embed scripts/functions.lua
	functionsLua string
	//go:embed scripts/clock.lua
	clockLua string
	//go:embed scripts/budgets.lua
	budgetsLua string
	//go:embed scripts/reserve.lua
	reserveLua string
	//go:embed scripts/resolve.lua
	resolveLua string
	//go:embed scripts/organisation.lua
	organisationLua string
	//go:embed scripts/claim.lua
	claimLua string
	//go:embed scripts/hold_state.lua
	holdStateLua string
	//go:embed scripts/postpone.lua
	postponeLua string
	//go:embed scripts/hold.lua
	holdLua string
	//go:embed scripts/settle.lua
	settleLua string
	//go:embed scripts/settle_steady.lua
	settleSteadyLua string
	//go:embed scripts/settle_several.lua
	settleSeveralLua string
	//go:embed scripts/release.lua
	releaseLua string
	//go:embed scripts/checkpoint.lua
	checkpointLua string
	//go:embed scripts/expire.lua
	expireLua string
	//go:embed scripts/debit.lua
	debitLua string
	//go:embed scripts/give.lua
	giveLua string
	//go:embed scripts/due.lua
	dueLua string
	//go:embed scripts/credit.lua
	creditLua string
	//go:embed scripts/account.lua
	accountLua string
	//go:embed scripts/balance.lua
	balanceLua string
	//go:embed scripts/key.lua
	keyLua string
	//go:embed scripts/budget.lua
	budgetLua string
	//go:embed scripts/membership.lua
	membershipLua string
	//go:embed scripts/tiers.lua
	tiersLua string
	//go:embed scripts/organisations.lua
	organisationsLua string
	//go:embed scripts/revoke.lua
	revokeLua string
	//go:embed scripts/trim.lua
	trimLua string
	//go:embed scripts/close.lua
	closeLua string
	//go:embed scripts/wipe.lua
	wipeLua string
	//go:embed scripts/restore.lua
	restoreLua string
	//go:embed scripts/restore_keys.lua
	restoreKeysLua string
	//go:embed scripts/restore_holds.lua
	restoreHoldsLua string
	//go:embed scripts/open.lua
	openLua string
	//go:embed scripts/shut.lua
	shutLua string
	//go:embed scripts/backlog.lua
	backlogLua string
)

// wholeLua makes of a script a function of its own, whole, for another to call where its
// own means do not suffice.
func wholeLua(script string) string { return "local function whole()\n" + script + "\nend\n" }

// scripts are the compiled forms; immutable, so one set serves a whole Desk.
type scripts struct {
	hold, settle, settleSeveral, release          *redis.Script
	checkpoint, expire, debit, give, due          *redis.Script
	credit, account, balance                      *redis.Script
	claim, holdState, postpone                    *redis.Script
	membership, tiers, organisations              *redis.Script
	key, budget, revoke, shut                     *redis.Script
	trim, close, wipe, restore, restoreKeys, open *redis.Script
	restoreHolds                                  *redis.Script
}

func newScripts() *scripts {
	return &scripts{
		hold:          redis.NewScript(clockLua + ReserveLua + holdLua),
		settle:        redis.NewScript(wholeLua(functionsLua+budgetsLua+resolveLua+settleLua) + settleSteadyLua),
		settleSeveral: redis.NewScript(settleSeveralLua),
		release:       redis.NewScript(functionsLua + budgetsLua + resolveLua + releaseLua),
		checkpoint:    redis.NewScript(clockLua + functionsLua + checkpointLua),
		expire:        redis.NewScript(clockLua + functionsLua + budgetsLua + resolveLua + expireLua),
		debit:         redis.NewScript(clockLua + functionsLua + budgetsLua + resolveLua + debitLua),
		give:          redis.NewScript(functionsLua + giveLua),
		due:           redis.NewScript(clockLua + dueLua),
		claim:         redis.NewScript(clockLua + OrganisationLua + claimLua),
		holdState:     redis.NewScript(functionsLua + holdStateLua),
		postpone:      redis.NewScript(clockLua + postponeLua),
		credit:        redis.NewScript(creditLua),
		account:       redis.NewScript(accountLua),
		balance:       redis.NewScript(balanceLua),
		key:           redis.NewScript(keyLua),
		budget:        redis.NewScript(budgetLua),
		membership:    redis.NewScript(membershipLua),
		tiers:         redis.NewScript(tiersLua),
		organisations: redis.NewScript(functionsLua + budgetsLua + organisationsLua),
		revoke:        redis.NewScript(revokeLua),
		shut:          redis.NewScript(shutLua),
		trim:          redis.NewScript(trimLua),
		close:         redis.NewScript(closeLua),
		wipe:          redis.NewScript(wipeLua),
		restore:       redis.NewScript(restoreLua),
		restoreKeys:   redis.NewScript(restoreKeysLua),
		restoreHolds:  redis.NewScript(functionsLua + restoreHoldsLua),
		open:          redis.NewScript(openLua),
	}
}
