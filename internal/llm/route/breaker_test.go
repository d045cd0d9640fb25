package route

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model of a breaker, as simple as its contract: n failures in a row open it, after the
// recovery time a number of trials go through, all of which must succeed.
type modelBreaker struct {
	o      BreakerOptions
	state  State
	row    int // failures
	wins   int
	under  int // trials under way
	until  time.Duration
	period int
}

type modelCall struct {
	permit permit
	period int
	trial  bool
	told   bool
}

func (m *modelBreaker) turn(to State, now time.Duration) {
	m.state, m.row, m.wins, m.under = to, 0, 0, 0
	m.period++
	if to == Open {
		m.until = now + m.o.Recovery
	}
}

func (m *modelBreaker) enter(now time.Duration) (c modelCall, let bool) {
	if m.state == Open && now >= m.until {
		m.turn(HalfOpen, now)
	}
	c.period = m.period
	switch {
	case m.state == Closed:
		return c, true
	case m.state == HalfOpen && m.wins+m.under < m.o.Trials:
		m.under++
		c.trial = true
		return c, true
	}
	return c, false
}

func (m *modelBreaker) result(c *modelCall, v verdict, now time.Duration) {
	if c.period != m.period {
		return
	}
	if c.trial {
		m.under--
	}
	switch {
	case v == failure && m.state == HalfOpen:
		m.turn(Open, now)
	case v == failure && m.state == Closed:
		if m.row++; m.row == m.o.Failures {
			m.turn(Open, now)
		}
	case v == success && m.state == Closed:
		m.row = 0
	case v == success && m.state == HalfOpen:
		if m.wins++; m.wins == m.o.Trials {
			m.turn(Closed, now)
		}
	}
}

func (m *modelBreaker) began(c *modelCall, now time.Duration) {
	if c.trial && !c.told {
		m.result(c, success, now)
		c.trial, c.told, c.period = false, true, m.period
	}
}

func (m *modelBreaker) leave(c *modelCall, v verdict, now time.Duration) {
	if v == neutral && !c.trial || v == success && c.told {
		return
	}
	m.result(c, v, now)
}

func TestBreakerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := BreakerOptions{
			Failures: rapid.IntRange(1, 6).Draw(t, "failures"),
			Recovery: time.Duration(rapid.IntRange(1, 90).Draw(t, "recovery")) * time.Second,
			Trials:   rapid.IntRange(1, 4).Draw(t, "trials"),
		}
		m := &modelBreaker{o: o}
		changes := 0
		b := newBreaker(o, func(from, to State) {
			if from == to {
				t.Fatalf("told of a change from %v to %v", from, to)
			}
			changes++
		})
		now := time.Duration(0)
		var calls []modelCall
		one := func(t *rapid.T) int { // -1: no call is under way, and the action a step without effect
			if len(calls) == 0 {
				return -1
			}
			return rapid.IntRange(0, len(calls)-1).Draw(t, "call")
		}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now += time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second },
			"enter": func(t *rapid.T) {
				ready, _ := b.look(now)
				p, let := b.enter(now)
				c, want := m.enter(now)
				if let != want || ready != want {
					t.Fatalf("let through %v, looked %v, want %v in state %v", let, ready, want, m.state)
				}
				if let {
					c.permit = p
					calls = append(calls, c)
				}
			},
			"began": func(t *rapid.T) {
				if i := one(t); i >= 0 {
					b.began(&calls[i].permit, now)
					m.began(&calls[i], now)
				}
			},
			"leave": func(t *rapid.T) {
				i := one(t)
				if i < 0 {
					return
				}
				v := rapid.SampledFrom([]verdict{neutral, success, success, failure, failure, failure}).Draw(t, "verdict")
				b.leave(&calls[i].permit, v, now)
				m.leave(&calls[i], v, now)
				calls = append(calls[:i], calls[i+1:]...)
			},
			"": func(t *rapid.T) {
				if got := stateOf(b.word.Load()); got != m.state {
					t.Fatalf("state %v, want %v", got, m.state)
				}
				if changes != m.period {
					t.Fatalf("told of %d changes of %d", changes, m.period)
				}
			},
		})
	})
}

// fail ends so many calls in a failure.
func fail(b *breaker, n int, now time.Duration) {
	for range n {
		p, _ := b.enter(now)
		b.leave(&p, failure, now)
	}
}

func TestBreakerMeansWhatItsSettingsSay(t *testing.T) {
	b := newBreaker(BreakerOptions{}.complete(), nil)
	fail(b, 4, 0)
	p, _ := b.enter(0)
	b.leave(&p, success, 0)
	fail(b, 4, 0)
	if b.state(0) != Closed {
		t.Fatal("it opened before five failures in a row")
	}
	fail(b, 1, 0)
	if b.state(0) != Open {
		t.Fatal("five failures in a row do not open it")
	}
	if _, let := b.enter(time.Minute - 1); let {
		t.Fatal("it lets a call through before 60 s")
	}
	if b.state(time.Minute) != HalfOpen {
		t.Fatal("it is not half-open after 60 s")
	}
	var trials [3]permit
	for i := range trials {
		p, let := b.enter(time.Minute)
		if !let {
			t.Fatalf("trial %d is not let through", i+1)
		}
		trials[i] = p
	}
	for i := range trials {
		if _, let := b.enter(time.Minute); let {
			t.Fatalf("a fourth call is let through when %d have succeeded", i)
		}
		b.leave(&trials[i], success, time.Minute)
	}
	if b.state(time.Minute) != Closed {
		t.Fatal("three successes do not close it")
	}
}

// A trial whose end says nothing must make room for another, or the breaker would stay
// half-open for good.
func TestBreakerTrialThatSaysNothing(t *testing.T) {
	b := newBreaker(BreakerOptions{Failures: 1, Recovery: time.Second, Trials: 1}, nil)
	fail(b, 1, 0)
	for range 3 {
		p, let := b.enter(time.Second)
		if !let {
			t.Fatal("no further trial is let through")
		}
		b.leave(&p, neutral, time.Second)
	}
	p, _ := b.enter(time.Second)
	b.leave(&p, success, time.Second)
	if b.state(time.Second) != Closed {
		t.Fatal("it did not close")
	}
}

// What was begun before the breaker opened says nothing of whether the provider is back.
func TestBreakerLateResults(t *testing.T) {
	b := newBreaker(BreakerOptions{Failures: 1, Recovery: time.Second, Trials: 1}, nil)
	well, _ := b.enter(0)
	ill, _ := b.enter(0)
	fail(b, 1, 0)
	trial, _ := b.enter(time.Second)
	b.leave(&well, success, time.Second)
	b.leave(&ill, failure, time.Second)
	if got := b.state(time.Second); got != HalfOpen {
		t.Fatalf("results of another period made it %v", got)
	}
	if _, let := b.enter(time.Second); let {
		t.Fatal("results of another period made room for a trial")
	}
	b.leave(&trial, success, time.Second)
	if b.state(time.Second) != Closed {
		t.Fatal("it did not close")
	}
}

// A trial has succeeded when its answer begins; when that breaks off, it counts.
func TestBreakerTrialThatBreaksOff(t *testing.T) {
	b := newBreaker(BreakerOptions{Failures: 1, Recovery: time.Second, Trials: 1}, nil)
	fail(b, 1, 0)
	p, _ := b.enter(time.Second)
	b.began(&p, time.Second)
	if b.state(time.Second) != Closed {
		t.Fatal("an answer that begins does not close it")
	}
	b.leave(&p, failure, 2*time.Second)
	if b.state(2*time.Second) != Open {
		t.Fatal("an answer that breaks off does not count")
	}
}
