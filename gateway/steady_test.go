package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// steadyScripts are a steady script as it is, one that always decides by whole, and one
// that only tells whether it would. Their clock stands still.
type steadyScripts struct{ steady, whole, leaves *redis.Script }

func newSteadyScripts(whole, steady string) steadyScripts {
	frozen := func(text string) *redis.Script {
		return redis.NewScript(strings.ReplaceAll(text, "redis.call('TIME')", "{ '1790000123', '456789' }"))
	}
	return steadyScripts{
		steady: frozen(whole + steady),
		whole:  frozen(whole + "return whole()"),
		leaves: frozen("local function whole() return { 'left' } end\n" + steady),
	}
}

// steadyWorld is what a call finds in Redis.
type steadyWorld struct {
	t      *testing.T
	client *redis.Client
	random *rand.Rand
}

func pick[T any](r *rand.Rand, usual T, others ...T) T {
	if r.IntN(100) < 91 {
		return usual
	}
	return others[r.IntN(len(others))]
}

var steadyKeys = []string{"epoch:{s01}", "acct:{s01}:17", "hold:{s01}:api-1", "exp:{s01}", "key:{s01}:k", "lim:{s01}:key:k"}

// arrange makes up a state, most often the common one, and returns how to make it again.
func (w *steadyWorld) arrange() (again func()) {
	r := w.random
	commands := [][]any{{"flushall"}}
	add := func(command ...any) { commands = append(commands, command) }
	if pick(r, true, false) {
		add("set", steadyKeys[0], "3")
	}
	account := []any{"hset", steadyKeys[1], "status", pick(r, "active", "suspended", "closed")}
	for _, field := range []struct{ name, value string }{
		{"available", pick(r, "1000000000000000", "40000", "39999", "0", "-7", "")}, {"held", pick(r, "5", "0", "")},
		{"budget", pick(r, "", "50000|0", "0|0")}, {"tier", pick(r, "", "gold")}, {"org", pick(r, "", "9")},
	} {
		if field.value != "" {
			account = append(account, field.name, field.value)
		}
	}
	add(account...)
	usual, form := "2000000000|0|0|0|0", "hash"
	if r.IntN(2) == 0 { // of the key's own, or the house's
		usual, form = []string{"120|0|0|0|0", "0|0|0|0|0"}[r.IntN(2)], "list"
	}
	add("hset", steadyKeys[4], "account", pick(r, "17", "18"), "key_id", "3", "limits",
		pick(r, usual, "129|0|0|0|0", "128|0|0|0|0", "1|0|0|0|0", "0|0|0|0|0", "2147483648|0|0|0|0", "500|9|0|0|0", "nonsense"),
		"status", pick(r, "active", "restricted", "revoked"))
	if pick(r, true, false) {
		add("hset", steadyKeys[4], "mac", "0123")
	}
	if pick(r, false, true) {
		add("hset", steadyKeys[4], "budget", "0|60000")
	}
	if pick(r, false, true) {
		add("set", steadyKeys[2], pick(r, "h|40000|17|3|1790000160000|||api", "s|1|17|3|0|||other"))
	}
	switch kind := pick(r, form, "none", "hash", "list", "string"); kind {
	case "hash":
		head := pick(r, 1790000123, 1790000122, 1790000124, 1790000062, 1780000000)
		add("hset", steadyKeys[5], "h", head, "s", pick(r, "100", "0", "128", "1999999999", "2000000000", "-1", "x"),
			"w", pick(r, "1000000", "2000000", "x"), fmt.Sprintf("b%d", head%61), pick(r, "7", "0", "x"), fmt.Sprintf("b%d", (head-60)%61), "2")
		add("pexpire", steadyKeys[5], 62000)
	case "list":
		w.stamp(add)
	case "string":
		add("set", steadyKeys[5], "of a stranger")
	}
	return func() {
		pipe := w.client.Pipeline()
		for _, command := range commands {
			pipe.Do(w.t.Context(), command...)
		}
		if _, err := pipe.Exec(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// stamp adds a window's list: stamps of the minute, and a few that have left it.
func (w *steadyWorld) stamp(add func(...any)) {
	const now, minute = 1790000123456789, 60_000_000
	stamps := make([]int, []int{1, 60, 119, 120, 121, 128}[w.random.IntN(6)])
	oldest := minute
	if w.random.IntN(2) == 0 {
		oldest += minute / 20
	}
	for i := range stamps {
		stamps[i] = now - w.random.IntN(oldest)
	}
	if pick(w.random, true, false) { // one at the very edge of the minute
		stamps[0] = now - minute + w.random.IntN(3) - 1
	}
	slices.Sort(stamps)
	list := []any{"rpush", steadyKeys[5]}
	for _, stamp := range stamps {
		list = append(list, stamp)
	}
	if last := pick(w.random, "", "1790000123456790", "1790000000000000", "1890000123456790", "x"); last != "" {
		list = append(list, last)
	}
	add(list...)
	add("pexpire", steadyKeys[5], 62000)
}

// found is all that is in Redis.
func (w *steadyWorld) found() string {
	ctx, told := w.t.Context(), strings.Builder{}
	for _, key := range append(steadyKeys, "hold:{s01}:api-2", "hold:{s01}:api-3", "lost:{s01}") {
		kind := w.client.Type(ctx, key).Val()
		var content any
		switch kind {
		case "hash":
			content = w.client.HGetAll(ctx, key).Val()
		case "list":
			content = w.client.LRange(ctx, key, 0, -1).Val()
		case "zset":
			content = w.client.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "set":
			content = w.client.SMembers(ctx, key).Val()
		case "string":
			content = w.client.Get(ctx, key).Val()
		}
		fmt.Fprintln(&told, key, kind, content, w.client.PTTL(ctx, key).Val() > 0)
	}
	return told.String()
}

// The steady scripts answer as the plain ones do and leave the same behind, whatever they
// find, and they decide what is common by themselves.
func TestSteady(t *testing.T) {
	w := &steadyWorld{t: t, client: testenv.Redis(t), random: rand.New(rand.NewPCG(7, 8))}
	for _, way := range []struct {
		name string
		steadyScripts
		keys []string
		args func(candidates, want string) []any
	}{
		{"admit", newSteadyScripts(plainLuaOf(plainAdmitLua), ratelimit.SteadyLua()+steadyAdmitLua), steadyKeys, func(candidates, want string) []any {
			return []any{candidates, "120|0|0|0|0", "17", "", "api-1", "api", want, want, "60000"}
		}},
		{"visit", newSteadyScripts(plainLuaOf(plainVisitLua), ratelimit.SteadyLua()+steadyVisitLua), []string{steadyKeys[0], steadyKeys[1], steadyKeys[4], steadyKeys[5]}, func(candidates, _ string) []any {
			return []any{candidates, "120|0|0|0|0", "17"}
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			w.t = t
			decided, left := 0, 0
			for range 1000 {
				again := w.arrange()
				keys, args := way.keys, way.args("1", pick(w.random, "40000", "0", "40001"))
				if w.random.IntN(20) == 0 { // a chat: there is no key
					keys = append(keys[:len(keys)-2:len(keys)-2], "lim:{s01}:key:k")
					args[0] = "0"
				}
				run := func(script *redis.Script) (string, string) {
					again()
					reply, err := script.Run(t.Context(), w.client, keys, args...).Slice()
					return fmt.Sprint(reply, err != nil), w.found()
				}
				wantReply, want := run(way.whole)
				reply, found := run(way.steady)
				if reply != wantReply || found != want {
					t.Fatalf("the steady script answers %s and leaves\n%s\nthe plain one answers %s and leaves\n%s", reply, found, wantReply, want)
				}
				if reply, _ = run(way.leaves); strings.HasPrefix(reply, "[left]") {
					left++
				} else {
					decided++
				}
			}
			if decided < 100 || left < 50 {
				t.Errorf("decided %d by itself and left %d", decided, left)
			}
		})
	}
}
