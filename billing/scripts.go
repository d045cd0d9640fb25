package billing

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// ReserveLua is the source of the Lua functions shard_open, reserve_plan and
// reserve_commit, described at its top. Other scripts are composed with it, so
// that one atomic call can decide authentication, limits and the hold.
//
//go:embed scripts/reserve.lua
var ReserveLua string

var (
	//go:embed scripts/hold.lua
	holdLua string
	//go:embed scripts/settle.lua
	settleLua string
	//go:embed scripts/release.lua
	releaseLua string
	//go:embed scripts/credit.lua
	creditLua string
	//go:embed scripts/account.lua
	accountLua string
	//go:embed scripts/balance.lua
	balanceLua string
	//go:embed scripts/key.lua
	keyLua string
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
	//go:embed scripts/open.lua
	openLua string
	//go:embed scripts/shut.lua
	shutLua string
	//go:embed scripts/backlog.lua
	backlogLua string
)

// scripts are the compiled forms; immutable, so one set serves a whole Desk.
type scripts struct {
	hold, settle, release                         *redis.Script
	credit, account, balance                      *redis.Script
	key, revoke, shut                             *redis.Script
	trim, close, wipe, restore, restoreKeys, open *redis.Script
}

func newScripts() *scripts {
	return &scripts{
		hold:        redis.NewScript(ReserveLua + holdLua),
		settle:      redis.NewScript(settleLua),
		release:     redis.NewScript(releaseLua),
		credit:      redis.NewScript(creditLua),
		account:     redis.NewScript(accountLua),
		balance:     redis.NewScript(balanceLua),
		key:         redis.NewScript(keyLua),
		revoke:      redis.NewScript(revokeLua),
		shut:        redis.NewScript(shutLua),
		trim:        redis.NewScript(trimLua),
		close:       redis.NewScript(closeLua),
		wipe:        redis.NewScript(wipeLua),
		restore:     redis.NewScript(restoreLua),
		restoreKeys: redis.NewScript(restoreKeysLua),
		open:        redis.NewScript(openLua),
	}
}
