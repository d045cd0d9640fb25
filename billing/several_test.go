package billing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// The script that settles several holds does what settling them one after the other does,
// or nothing at all, whatever it finds.
func TestSettleSeveralScript(t *testing.T) {
	client, ctx := testenv.Redis(t), t.Context()
	scripts := newScripts()
	random := rand.New(rand.NewPCG(5, 6))
	pick := func(usual string, others ...string) string {
		if random.IntN(100) < 91 {
			return usual
		}
		return others[random.IntN(len(others))]
	}
	const epoch, acct, exp, ev = "epoch:{s01}", "acct:{s01}:17", "exp:{s01}", "ev:{s01}"
	together, left := 0, 0
	for range 1500 {
		n := 2 + random.IntN(3)
		state := map[string]string{epoch: pick("3", "")}
		available, held := pick("1000000000000000", "", "0", "-5"), pick("40000", "", "90000")
		keys, args, singles := []string{epoch, acct, exp, ev}, []any{"17"}, [][]any{}
		for i := range n {
			id := fmt.Sprint("h", i)
			if i == 1 {
				id = pick(id, "h0")
			}
			state["hold:{s01}:"+id] = pick("h|40000|17|3|1790000160000|||api", "", "h|40000|17|3|1790000160000||marked|api", "h|40000|17|3|1790000160000|ak:20717:24321||api",
				"s|30000|17|3|0||how|api", "r|40000|17|3|0|||api", "h|40000|18|3|1790000160000|||api", "h|40000|17|4|1790000160000|||api", "h|0|17|3|1790000160000|||api", "h|12|17|3|1790000160000|||")
			single := []any{"3", pick("30000", "0", "40000", "40001", "9007199254740000"), fmt.Sprint("how", i), `{"m":"a|b"}`, 600000 + i}
			keys, args = append(keys, "hold:{s01}:"+id), append(append(args, id), single...)
			singles = append(singles, append([]any{id, "17"}, single...))
		}
		arrange := func() {
			pipe := client.Pipeline()
			pipe.FlushAll(ctx)
			for key, value := range state {
				if value != "" {
					pipe.Set(ctx, key, value, 0)
				}
			}
			for field, value := range map[string]string{"available": available, "held": held, "spent": "20717|50000|24321|50000"} {
				if value != "" {
					pipe.HSet(ctx, acct, field, value)
				}
			}
			for i := range n {
				pipe.ZAdd(ctx, exp, redis.Z{Score: 1790000160000, Member: fmt.Sprint("h", i)})
			}
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		found := func() string {
			events := client.XRange(ctx, ev, "-", "+").Val()
			for i := range events {
				events[i].ID = ""
			}
			told := fmt.Sprint(client.HGetAll(ctx, acct).Val(), client.ZRangeWithScores(ctx, exp, 0, -1).Val(), events)
			for _, key := range keys[4:] {
				told += fmt.Sprint("\n", client.Get(ctx, key).Val(), client.PTTL(ctx, key).Val().Round(10*time.Second))
			}
			return told
		}
		arrange()
		before := found()
		var one []int64
		for i, single := range singles {
			reply, _ := scripts.settle.Run(ctx, client, []string{epoch, acct, keys[4+i], exp, ev}, single...).Slice()
			if len(reply) == 4 && reply[0] == "settled" && reply[2] == int64(0) {
				one = append(one, reply[3].(int64))
			}
		}
		want := found()
		arrange()
		several, err := scripts.settleSeveral.Run(ctx, client, keys, args...).Int64Slice()
		if err != nil {
			t.Fatal(err)
		}
		if len(several) == 0 {
			want = before
			left++
		} else {
			together++
			if !slices.Equal(several, one) {
				t.Fatalf("together they leave %v each, one after the other %v", several, one)
			}
		}
		if got := found(); got != want {
			t.Fatalf("%v: the script leaves\n%s\nand should\n%s", state, got, want)
		}
	}
	if together < 100 || left < 100 {
		t.Errorf("settled %d together and left %d", together, left)
	}
}

// Several calls of an account are settled as each would be, and nothing is where one of them
// cannot be.
func TestSettleSeveral(t *testing.T) { onBoth(t, testSettleSeveral) }

func testSettleSeveral(t *testing.T, client *redis.Client) {
	r, ctx := newRig(t, client), t.Context()
	const each = 5000
	account := r.account(10 * each)
	var all []Settlement
	for i := range 5 {
		id := fmt.Sprint("several-", i)
		r.reserve(account, id, each)
		all = append(all, settlement(account, id, int64(i+1)*1000))
	}
	for name, spoil := range map[string]func(*Settlement){
		"another's":     func(s *Settlement) { s.AccountID++ },
		"no hold":       func(s *Settlement) { s.HoldID = "never-made" },
		"a bad name":    func(s *Settlement) { s.HoldID = "a b" },
		"a bad cost":    func(s *Settlement) { s.Cost = -1 },
		"beyond a hold": func(s *Settlement) { s.Cost = each + 1 },
		"one twice":     func(s *Settlement) { *s = all[0] },
	} {
		spoilt := slices.Clone(all)
		spoil(&spoilt[3])
		if _, err := r.desk.Holds.SettleSeveral(ctx, spoilt); !errors.Is(err, ErrUncommon) {
			t.Errorf("%s: %v", name, err)
		}
	}
	captured, err := r.desk.Holds.SettleSeveral(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	available := int64(5 * each)
	for i, c := range captured {
		available += each - all[i].Cost
		if c != (Captured{Nano: all[i].Cost, Available: available}) {
			t.Errorf("%d: %+v, want %d available", i, c, available)
		}
		again, err := r.desk.Holds.Settle(ctx, all[i])
		if err != nil || !again.Replayed || again.Nano != all[i].Cost {
			t.Errorf("%d again: %+v, %v", i, again, err)
		}
	}
}
