package webapp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kikuai/kikuai/billing"
)

// A socket hears its balance first, and then of all that happens to the account: calls,
// money that comes, keys, settings. Nobody hears of another's.
func TestLiveTells(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account, other := r.account(), r.account()
	c, header := r.connect(account, 0, ""), r.dial(func(o *websocket.DialOptions) { o.HTTPHeader.Set("X-Api-Key", fmt.Sprintf("%d.0.0", other)) })
	first, resume := c.until("the balance", ofType(eventBalance))
	if len(first) != 1 || resume != "" || first[0].data().AvailableNano != 10*dollar {
		t.Fatalf("first %+v %q", first, resume)
	}
	header.until("the balance", balanceOf(10*dollar))
	r.call(account, 0, dollar)
	events, _ := c.until("the balance after a call", balanceOf(9*dollar))
	usage := events[0].data()
	if events[0].Type != eventUsage || usage.CostNano != dollar || usage.InputTokens != 7 || usage.OutputTokens != 9 || usage.Model != "echo" || usage.Source != "app" || usage.Status != "settled" || *usage.KeyID != 0 {
		t.Errorf("a call is told as %+v %s", events[0], events[0].Data)
	}
	if at, err := time.Parse(time.RFC3339Nano, events[0].At); err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("told at %q", events[0].At)
	}
	r.credit(account, 2*dollar, "second")
	events, _ = c.until("the balance after a credit", balanceOf(11*dollar))
	if d := events[0].data(); events[0].Type != eventPayment || d.AmountNano != 2*dollar || d.Kind != billing.CreditAdjustment {
		t.Errorf("a credit is told as %+v", events[0])
	}
	key, _, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account, Name: "x"})
	r.must(err)
	c.until("the new key", func(h heard) bool {
		return h.Type == eventKey && h.data().Change == billing.KeyCreated && *h.data().KeyID == key.ID
	})
	name := "y"
	_, err = r.desk.Keys.Change(t.Context(), account, key.ID, billing.KeyChange{Name: &name}, billing.House)
	r.must(err)
	c.until("the changed key", func(h heard) bool { return h.Type == eventKey && h.data().Change == billing.KeyChanged })
	r.must(r.desk.Keys.Revoke(t.Context(), account, key.ID, billing.House))
	c.until("the revoked key", func(h heard) bool { return h.Type == eventKey && h.data().Change == billing.KeyRevoked })
	_, err = r.desk.Settings.Change(t.Context(), account, func(s *billing.Settings) { s.Model = "echo" })
	r.must(err)
	c.until("the settings", ofType(eventSettings))
	// The other has heard nothing of all that.
	r.call(other, 0, dollar)
	events, _ = header.until("the other's balance", balanceOf(9*dollar))
	if len(events) != 2 || events[0].Type != eventUsage {
		t.Errorf("the other heard %+v", events)
	}
}

// Who comes back with the last event's id is told what it missed, once and in order; who
// has missed too much is told that.
func TestLiveResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	c := r.connect(account, 0, "")
	c.until("the balance", ofType(eventBalance))
	r.must(c.conn.CloseNow())
	for i := range 120 {
		r.call(account, 0, int64(i+1))
	}
	_, _, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account})
	r.must(err)
	_, err = r.desk.Settings.Change(t.Context(), account, func(s *billing.Settings) { s.Model = "echo" })
	r.must(err)
	r.posted(account, 120)
	back := r.connect(account, 0, c.last)
	events, resume := back.until("the balance", balanceOf(10*dollar-120*121/2))
	kinds := map[string]int{}
	cost := int64(0)
	for _, e := range events {
		kinds[e.Type]++
		if e.Type == eventUsage {
			if cost++; e.data().CostNano != cost {
				t.Fatalf("call %d is told as %s", cost, e.Data)
			}
		}
	}
	if resume != resumeFull || kinds[eventUsage] != 120 || kinds[eventKey] != 1 || kinds[eventSettings] != 1 {
		t.Errorf("resumed %q with %v", resume, kinds)
	}
	r.must(back.conn.CloseNow())
	// With the newest id there is nothing but the balance.
	again := r.connect(account, 0, back.last)
	if events, resume := again.until("the balance", ofType(eventBalance)); len(events) != 1 || resume != resumeFull {
		t.Errorf("resumed %q with %d events", resume, len(events))
	}
	for _, place := range []string{"0.00000000.00000000.x", "nonsense", "-1.00000000.00000000", "9999999.00000000.00000000"} {
		c := r.connect(account, 0, place)
		if events, resume := c.until("the balance", ofType(eventBalance)); len(events) != 1 || resume != resumeGap {
			t.Errorf("from %s resumed %q with %d events", place, resume, len(events))
		}
	}
	old := strings.Replace(back.last, fmt.Sprint(heard{ID: back.last}.seq()), "1", 1)
	for range resumeMost {
		r.call(account, 0, 1)
	}
	r.posted(account, 120+resumeMost)
	if events, resume := r.connect(account, 0, old).until("the balance", ofType(eventBalance)); len(events) != 1 || resume != resumeGap {
		t.Errorf("from far back resumed %q with %d events", resume, len(events))
	}
}

// Who comes back beside another socket of the account is told what it missed, and the other
// one, which has heard it all, is told nothing again.
func TestLiveTellsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	const missed = 20
	steady := r.connect(account, 0, "")
	steady.until("the balance", ofType(eventBalance))
	began := steady.last
	for i := range missed {
		r.call(account, 0, int64(i+1))
	}
	costs := func(events []heard) (costs []int64) {
		for _, e := range events {
			if e.Type == eventUsage {
				costs = append(costs, e.data().CostNano)
			}
		}
		return costs
	}
	ofCost := func(nano int64) func(heard) bool {
		return func(h heard) bool { return h.Type == eventUsage && h.data().CostNano == nano }
	}
	all, _ := steady.until("the last call", ofCost(missed))
	back := r.connect(account, 0, began)
	again, _ := back.until("the last call", ofCost(missed))
	r.call(account, 0, dollar)
	more, _ := steady.until("the call after", ofCost(dollar))
	rest, _ := back.until("the call after", ofCost(dollar))
	for name, told := range map[string][]int64{"the steady one": costs(append(all, more...)), "who came back": costs(append(again, rest...))} {
		want := make([]int64, 0, missed+1)
		for i := range missed {
			want = append(want, int64(i+1))
		}
		if want = append(want, dollar); !slices.Equal(told, want) {
			t.Errorf("%s is told %v, want %v", name, told, want)
		}
	}
}

// However often a client is cut off while money moves, the union of what it hears is the
// ledger: nothing twice, nothing missing, in order.
func TestLiveLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	const calls = 150
	c := r.connect(account, 0, "")
	c.until("the balance", ofType(eventBalance))
	go func() {
		for i := range calls {
			r.call(account, 0, int64(i+1))
		}
	}()
	next := int64(1)
	for cut := 0; next <= calls; {
		frame, resume, err := c.frame()
		if err != nil || resume == resumeGap {
			t.Fatalf("%q, %v", resume, err)
		}
		for i, e := range frame {
			if e.Type == eventUsage {
				if got := e.data().CostNano; got != next {
					t.Fatalf("heard of call %d, want %d", got, next)
				}
				next++
			}
			if c.last = e.ID; i == cut%3 { // what follows in the frame is not heard of
				break
			}
		}
		if cut++; cut%2 == 0 {
			last := c.last
			r.must(c.conn.CloseNow())
			c = r.connect(account, 0, last)
			c.last = last
		} else if len(frame) > 0 && frame[len(frame)-1].ID != c.last { // it goes on where it stopped hearing
			last := c.last
			r.must(c.conn.CloseNow())
			c = r.connect(account, 0, last)
			c.last = last
		}
	}
}

// Word from Redis is only word: what was told while nobody heard it is found all the same.
func TestLiveDeaf(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *LiveOptions) { o.SweepEvery = 200 * time.Millisecond })
	account := r.account()
	c := r.connect(account, 0, "")
	c.until("the balance", ofType(eventBalance))
	r.must(r.redis.Do(t.Context(), "ACL", "SETUSER", "default", "-publish").Err())
	r.call(account, 0, dollar)
	c.until("the balance", balanceOf(9*dollar))
	_, err := r.desk.Settings.Change(t.Context(), account, func(s *billing.Settings) { s.Model = "echo" })
	r.must(err)
	_, _, err = r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account})
	r.must(err)
	c.until("a key", func(h heard) bool { return h.Type == eventKey && h.data().KeyID == nil })
	r.must(r.redis.Do(t.Context(), "ACL", "SETUSER", "default", "+publish").Err())
	// The subscription itself may break.
	r.must(r.redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err())
	r.call(account, 0, dollar)
	c.until("the balance", balanceOf(8*dollar))
}

// A frame that is large is compressed, and many events come in few frames.
func TestLiveFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	account := r.account()
	c := r.connect(account, 0, "")
	c.until("the balance", ofType(eventBalance))
	r.must(c.conn.CloseNow())
	for range 200 {
		r.call(account, 0, 1)
	}
	r.posted(account, 200)
	meter := &meteredTransport{}
	read := r.dial(func(o *websocket.DialOptions) { o.HTTPClient = &http.Client{Transport: meter.transport()} })
	read.auth(fmt.Sprintf("%d.0.0", account), c.last)
	frames, events, size := 0, 0, 0
	for events < 200 {
		frame, _, err := read.frame()
		r.must(err)
		frames++
		for _, e := range frame {
			size += len(e.Data) + len(e.ID) + len(e.At)
			if e.Type == eventUsage {
				events++
			}
		}
	}
	if frames > 8 {
		t.Errorf("200 events in %d frames", frames)
	}
	if wire := meter.read.Load(); wire > int64(size)/2 {
		t.Errorf("%d bytes of events in %d bytes", size, wire)
	}
}
