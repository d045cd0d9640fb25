package telegramsim

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Faults say how the simulator misbehaves. Percentages are of calls (or of deliveries, of presses); the same
// Seed makes the same sequence of decisions, whatever they are about.
type Faults struct {
	Seed                 uint64        `json:"seed"`
	TooManyPercent       float64       `json:"too_many_percent"`       // answer 429 and pause that chat
	RetryAfter           int           `json:"retry_after"`            // seconds, of those; default 1
	BadGatewayPercent    float64       `json:"bad_gateway_percent"`    // answer 502 with an HTML body, doing nothing
	SlowPercent          float64       `json:"slow_percent"`           // answer late
	SlowMillis           int           `json:"slow_ms"`                //
	LostAnswerPercent    float64       `json:"lost_answer_percent"`    // do it, then cut the connection
	DuplicatePercent     float64       `json:"duplicate_percent"`      // deliver an acknowledged update again
	StaleCallbackPercent float64       `json:"stale_callback_percent"` // deliver button presses that are too old to answer
	EnforcePace          bool          `json:"enforce_pace"`           // answer 429 over Telegram's pace (see Pace)
	ChatRetryAfter       map[int64]int `json:"chat_retry_after"`       // answer 429 in these chats for so many seconds from now
	Methods              []string      `json:"methods"`                // the percentages are of calls of these alone; none: of all
}

// ErrFaults says that Faults are out of range.
var ErrFaults = errors.New("telegramsim: faults: percentages go from 0 to 100, times from 0")

func (f Faults) check() error {
	for _, p := range []float64{
		f.TooManyPercent, f.BadGatewayPercent, f.SlowPercent, f.LostAnswerPercent, f.DuplicatePercent, f.StaleCallbackPercent,
	} {
		if !(p >= 0 && p <= 100) {
			return ErrFaults
		}
	}
	if f.RetryAfter < 0 || f.SlowMillis < 0 {
		return ErrFaults
	}
	return nil
}

// about tells whether the percentages are about a method.
func (f *Faults) about(method string) bool {
	return len(f.Methods) == 0 || slices.ContainsFunc(f.Methods, func(m string) bool { return strings.EqualFold(m, method) })
}

// The sequences of decisions, one per fault.
const (
	lotTooMany uint64 = iota
	lotBadGateway
	lotSlow
	lotLostAnswer
	lotDuplicate
	lotStale
	lots
)

// faultSwitch holds the faults in force; reading them costs no lock.
type faultSwitch struct {
	now    func() time.Time
	faults atomic.Pointer[Faults]
	drawn  [lots]atomic.Uint64

	mu     sync.Mutex
	paused map[int64]time.Time // chats that get 429 until then
}

func newFaultSwitch(f Faults, now func() time.Time) *faultSwitch {
	s := &faultSwitch{now: now, paused: map[int64]time.Time{}}
	s.set(f)
	return s
}

// SetFaults changes how the simulator misbehaves, from the next call on. A zero Faults behaves well, but lets
// pauses run out.
func (s *Server) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	s.faults.set(f)
	return nil
}

// Faults are the faults in force; ChatRetryAfter has the seconds left.
func (s *Server) Faults() Faults {
	f := *s.faults.faults.Load()
	f.ChatRetryAfter = map[int64]int{}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for chat, until := range s.faults.paused {
		if left := until.Sub(s.faults.now()); left > 0 {
			f.ChatRetryAfter[chat] = tooMany(left).RetryAfter
		}
	}
	return f
}

func (s *faultSwitch) set(f Faults) {
	set(&f.RetryAfter, 1)
	s.mu.Lock()
	for chat, seconds := range f.ChatRetryAfter {
		if seconds <= 0 {
			delete(s.paused, chat)
			continue
		}
		s.paused[chat] = s.now().Add(time.Duration(seconds) * time.Second)
	}
	s.mu.Unlock()
	f.ChatRetryAfter, f.Methods = maps.Clone(f.ChatRetryAfter), slices.Clone(f.Methods)
	s.faults.Store(&f)
}

// draw decides the next of a sequence.
func (s *faultSwitch) draw(lot uint64, percent float64) bool {
	if percent <= 0 {
		return false
	}
	n := s.drawn[lot].Add(1)
	return float64(mix(s.faults.Load().Seed^lot<<56^n)>>11)/(1<<53)*100 < percent
}

// mix is the finaliser of splitmix64: it spreads consecutive numbers evenly.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// pause makes a chat answer 429 for a while.
func (s *faultSwitch) pause(chat int64, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused[chat] = s.now().Add(d)
}

// pausedFor is how long a chat still answers 429.
func (s *faultSwitch) pausedFor(chat int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.paused[chat]
	if !ok {
		return 0
	}
	left := until.Sub(s.now())
	if left <= 0 {
		delete(s.paused, chat)
	}
	return left
}

func (s *faultSwitch) duplicate() bool {
	return s.draw(lotDuplicate, s.faults.Load().DuplicatePercent)
}

func (s *faultSwitch) staleCallback() bool {
	return s.draw(lotStale, s.faults.Load().StaleCallbackPercent)
}
