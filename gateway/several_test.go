package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// The scripts for several calls do what the plain ones do one after the other, or nothing
// that these would not do: whatever they find.
func TestSeveral(t *testing.T) {
	w := &steadyWorld{t: t, client: testenv.Redis(t), random: rand.New(rand.NewPCG(9, 10))}
	frozen := func(text string) *redis.Script {
		return redis.NewScript(strings.ReplaceAll(text, "redis.call('TIME')", "{ '1790000123', '456789' }"))
	}
	plainAdmit, plainVisit := frozen(plainLuaOf(plainAdmitLua)+"return whole()"), frozen(plainLuaOf(plainVisitLua)+"return whole()")
	severalAdmit, severalVisit := frozen(ratelimit.SteadyLua()+severalAdmitLua), frozen(ratelimit.SteadyLua()+severalVisitLua)
	run := func(script *redis.Script, keys []string, args ...any) string {
		reply, err := script.Run(t.Context(), w.client, keys, args...).Slice()
		return fmt.Sprint(reply, err != nil)
	}
	told := map[string]int{}
	for range 1500 {
		again, n := w.arrange(), 2+w.random.IntN(2)
		keys := func(hold int) []string {
			return []string{steadyKeys[0], steadyKeys[1], fmt.Sprint("hold:{s01}:api-", hold), steadyKeys[3], steadyKeys[4], steadyKeys[5]}
		}
		together := []string{steadyKeys[0], steadyKeys[1], steadyKeys[3], steadyKeys[4], steadyKeys[5]}
		args := []any{"120|0|0|0|0", "17"}
		wants, ids := make([]string, n), make([]int, n)
		for i := range n {
			wants[i], ids[i] = pick(w.random, "12000", "0", "40000", "40001"), i+1
			if i == 1 && w.random.IntN(20) == 0 {
				ids[i] = 1 // one name twice
			}
			together = append(together, keys(ids[i])[2])
			args = append(args, fmt.Sprint("api-", ids[i]), "api", wants[i], "60000")
		}
		alone := func() (last string) {
			for i := range n {
				last = run(plainAdmit, keys(ids[i]), "1", "120|0|0|0|0", "17", "", fmt.Sprint("api-", ids[i]), "api", wants[i], wants[i], "60000")
			}
			return last
		}
		several := func() string { return run(severalAdmit, together, args...) }
		if w.random.IntN(3) == 0 {
			unpaid := []string{steadyKeys[0], steadyKeys[1], steadyKeys[4], steadyKeys[5]}
			alone = func() (last string) {
				for range n {
					last = run(plainVisit, unpaid, "1", "120|0|0|0|0", "17")
				}
				return last
			}
			several = func() string { return run(severalVisit, unpaid, "120|0|0|0|0", "17", n) }
		}
		again()
		wantReply := alone()
		want := w.found()
		again()
		reply := several()
		status := strings.Trim(strings.Fields(reply)[0], "[]")
		told[status]++
		switch status {
		case "ok", "inactive": // n is what all want
			if strings.Join(strings.Fields(reply)[2:], " ") != strings.Join(strings.Fields(wantReply)[2:], " ") {
				t.Fatalf("%d calls together are answered %s, the last of them alone %s", n, reply, wantReply)
			}
		case "alone", "apart":
			if alone() != wantReply {
				t.Fatalf("%s, and then the last is answered otherwise than %s", reply, wantReply)
			}
		default:
			t.Fatalf("answered %s", reply)
		}
		if found := w.found(); found != want {
			t.Fatalf("%d calls answered %s leave\n%s\none after the other they leave\n%s", n, reply, found, want)
		}
	}
	for _, status := range []string{"ok", "alone", "apart"} {
		if told[status] < 50 {
			t.Errorf("answered %v", told)
		}
	}
}

// Calls with one key that come while one of its calls is asked for are asked for together,
// each with what is its own; and where money or a limit does not suffice for all, as many
// are let in as it suffices for.
func TestSeveralCalls(t *testing.T) {
	for _, test := range []struct {
		name     string
		limit    int
		money    int64
		admitted int
	}{
		{"all of them", 600, 1000, 40},
		{"money for some", 600, 17, 17},
		{"a limit of some", 23, 1000, 23},
		{"a limit of many and money for some", 129, 31, 31},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			id, token := r.account(test.money, test.limit)
			key, err := r.desk.Keys.Parse(token)
			r.must(err)
			who := caller{account: id, key: &key}
			type outcome struct {
				pass pass
				err  error
			}
			outcomes := make(chan outcome)
			r.must(r.client.Do(t.Context(), "client", "pause", 60_000, "write").Err())
			const calls = 40
			for i := range calls {
				go func() {
					p, err := r.meter.gate.admit(t.Context(), who, reservation{
						holdID: fmt.Sprintf("several-%d", i), fingerprint: "api", want: 1, least: 1, life: holdLife,
					})
					outcomes <- outcome{p, err}
				}()
			}
			crowd := r.meter.gate.admits.crowd
			testenv.Until(r.t, "all but one wait", func() bool {
				crowd.mu.Lock()
				defer crowd.mu.Unlock()
				return len(crowd.waiting[key.Locator[0]]) == calls-1
			})
			before := r.calls("evalsha")
			r.must(r.redis.Client().Do(t.Context(), "client", "unpause").Err())
			remaining, available := map[int64]bool{}, map[int64]bool{}
			for range calls {
				if o := <-outcomes; o.err == nil && o.pass.status == "ok" {
					if o.pass.n != 1 || remaining[o.pass.decision.Results[0].Remaining] || available[o.pass.available] {
						t.Errorf("a call is told %+v, as another is", o.pass)
					}
					remaining[o.pass.decision.Results[0].Remaining], available[o.pass.available] = true, true
				}
			}
			if len(remaining) != test.admitted {
				t.Errorf("%d calls were let in, want %d", len(remaining), test.admitted)
			}
			if asked := r.calls("evalsha") - before; test.admitted == calls && asked > calls/2 {
				t.Errorf("%d scripts for %d calls", asked, calls)
			}
			if b := r.balance(id); b.Held != int64(test.admitted) || b.Available != test.money-int64(test.admitted) {
				t.Errorf("the account has %+v", b)
			}
		})
	}
}

// calls is how often Redis has run a command.
func (r *rig) calls(command string) (n int) {
	r.t.Helper()
	_, line, _ := strings.Cut(r.redis.Client().Info(r.t.Context(), "commandstats").Val(), "cmdstat_"+command+":calls=")
	_, err := fmt.Sscanf(line, "%d", &n)
	r.must(err)
	return n
}
