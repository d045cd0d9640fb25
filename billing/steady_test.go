package billing

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// The steady settlement answers as the whole script does and leaves the same behind,
// whatever it finds, and decides the common call by itself.
func TestSettleSteady(t *testing.T) {
	client, ctx := testenv.Redis(t), t.Context()
	body := functionsLua + budgetsLua + resolveLua + settleLua
	steady, whole := newScripts().settle, redis.NewScript(body)
	leaves := redis.NewScript("local function whole() return { 'left' } end\n" + settleSteadyLua)
	keys := []string{"epoch:{s01}", "acct:{s01}:17", "hold:{s01}:h", "exp:{s01}", "ev:{s01}"}
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(usual string, others ...string) string {
		if random.IntN(100) < 75 {
			return usual
		}
		return others[random.IntN(len(others))]
	}
	decided, left := 0, 0
	for range 1500 {
		epoch, available, held := pick("3", ""), pick("1000000000000000", "", "0", "-5"), pick("40000", "", "90000")
		hold := pick("h|40000|17|3|1790000160000|||api", "", "h|40000|17|3|1790000160000||marked|api", "h|40000|17|3|1790000160000|ak:20717:24321||api",
			"s|30000|17|3|0||how|api", "s|30000|17|3|0||expired|api", "r|40000|17|3|0|||api", "r|40000|17|3|0||expired|api",
			"h|40000|18|3|1790000160000|||api", "h|40000|17|4|1790000160000|||api", "h|0|17|3|1790000160000|||api", "h|40000|17|3|1790000160000|||")
		cost := pick("30000", "0", "40000", "40001", "9007199254740000")
		arrange := func() {
			pipe := client.Pipeline()
			pipe.FlushAll(ctx)
			if epoch != "" {
				pipe.Set(ctx, keys[0], epoch, 0)
			}
			pipe.HSet(ctx, keys[1], "spent", "20717|50000|24321|50000", "spent:3", "20717|50000|24321|50000")
			if available != "" {
				pipe.HSet(ctx, keys[1], "available", available)
			}
			if held != "" {
				pipe.HSet(ctx, keys[1], "held", held)
			}
			if hold != "" {
				pipe.Set(ctx, keys[2], hold, 0)
			}
			pipe.ZAdd(ctx, keys[3], redis.Z{Score: 1790000160000, Member: "h"})
			pipe.Set(ctx, "mark:{s01}:h", "1|{}", 0)
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		run := func(script *redis.Script) string {
			arrange()
			reply, err := script.Run(ctx, client, keys, "h", "17", "3", cost, "how", `{"m":"a|b"}`, "600000").Slice()
			events := client.XRange(ctx, keys[4], "-", "+").Val()
			for i := range events {
				events[i].ID = ""
			}
			return fmt.Sprint(reply, err != nil, client.HGetAll(ctx, keys[1]).Val(), client.Get(ctx, keys[2]).Val(), client.PTTL(ctx, keys[2]).Val() > 0,
				client.ZRangeWithScores(ctx, keys[3], 0, -1).Val(), client.Exists(ctx, "mark:{s01}:h").Val(), events)
		}
		want := run(whole)
		if got := run(steady); got != want {
			t.Fatalf("hold %q, cost %s: the steady script does\n%s\nthe whole one\n%s", hold, cost, got, want)
		}
		if strings.HasPrefix(run(leaves), "[left]") {
			left++
		} else {
			decided++
		}
	}
	if decided < 50 || left < 50 {
		t.Errorf("decided %d by itself and left %d", decided, left)
	}
}
