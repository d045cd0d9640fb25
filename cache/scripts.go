package cache

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed scripts/tickets.lua
	ticketsLua string
	//go:embed scripts/begin.lua
	beginLua string
	//go:embed scripts/finish.lua
	finishLua string
	//go:embed scripts/put.lua
	putLua string
	//go:embed scripts/invalidate.lua
	invalidateLua string
	//go:embed scripts/tag.lua
	tagLua string
)

// scripts are what level two is changed by.
type scripts struct{ begin, finish, put, invalidate, tag *redis.Script }

func newScripts() scripts {
	composed := func(main string) *redis.Script { return redis.NewScript(ticketsLua + main) }
	return scripts{
		begin: composed(beginLua), finish: composed(finishLua), put: composed(putLua),
		invalidate: composed(invalidateLua), tag: composed(tagLua),
	}
}
