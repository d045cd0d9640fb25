package gateway

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/sjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	headerCache = "X-Cache"
	cacheHit    = "hit"    // given before, and nothing was charged
	cacheMiss   = "miss"   // asked for, and made anew
	cacheBypass = "bypass" // asked for by a request whose answer may not stand for another

	maxCachedAnswer = 256 << 10 // bytes; a longer one is not kept
	answerPutIn     = time.Second
	answerStamp     = 8 // bytes before a kept answer: when it was made
)

// answerSpace keeps whole answers for a time. See [NewAnswerSpace].
type answerSpace interface {
	Lookup(ctx context.Context, key string) ([]byte, bool)
	Put(ctx context.Context, key string, value []byte) error
}

// answers gives a request that asks for it an answer that the same account got to the
// same request. What is kept is the answer as the client saw it, at a cost of zero: it
// holds no balance, key or limit.
type answers struct {
	space   answerSpace // nil: nothing is kept
	now     func() time.Time
	results *prometheus.CounterVec
}

func newAnswers(space answerSpace, now func() time.Time, registerer prometheus.Registerer) *answers {
	a := &answers{space: space, now: now, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_answers_total", Help: "Requests that asked for a kept answer, by what came of it: hit, miss or bypass; and answers stored.",
	}, []string{"result"})}
	registerer.MustRegister(a.results)
	return a
}

// recall is what a request wants of kept answers. The zero value wants nothing.
type recall struct {
	key    string        // of the answer; "": none is given or kept
	maxAge time.Duration // of an answer that will do; 0: none does
	state  string        // what the answer's X-Cache says; "": nothing was asked
}

// want reads a request's wish: the header Cache-Control with max-age, or the body's
// cache_max_age; of both, the less. no-cache wants a new answer, to be kept; no-store
// wants nothing to do with it.
func (a *answers) want(c *fiber.Ctx, account int64, r *llm.Request) recall {
	age, asked, fresh, never := readCacheControl(c.Get(fiber.HeaderCacheControl))
	switch own := r.CacheMaxAge; {
	case own == 0:
	case !asked:
		age = own
	case age == 0:
		age, fresh = own, true
	default:
		age = min(age, own)
	}
	if a.space == nil || never || age == 0 {
		return recall{}
	}
	if !r.Repeatable() {
		a.results.WithLabelValues(cacheBypass).Inc()
		return recall{state: cacheBypass}
	}
	digest := r.Digest()
	w := recall{key: answerKey(account, hex.EncodeToString(digest[:])), state: cacheMiss}
	if !fresh {
		w.maxAge = time.Duration(age) * time.Second
	}
	return w
}

// answerKey names an answer, behind its account's tag.
func answerKey(account int64, digest string) string { return AnswerTag(account) + ":" + digest }

// NewAnswerSpace is the space of kept answers. An answer's copy in memory is short: whole
// answers are large, and asked for again seldom within seconds.
func NewAnswerSpace(c *cache.Cache, ttl time.Duration) *cache.Space[[]byte] {
	return cache.NewSpace[[]byte](c, cache.SpaceOptions{Name: "answers", TTL: ttl, L1TTL: time.Second, Tags: answerTags})
}

// AnswerTag is the tag of all answers of an account.
func AnswerTag(account int64) string { return strconv.FormatInt(account, 10) }

func answerTags(key string) []string {
	account, _, _ := strings.Cut(key, ":")
	return []string{account}
}

// readCacheControl reads the directives that matter here; age is in seconds, the least
// of several. What cannot be read asks for nothing.
func readCacheControl(header string) (age int64, asked, fresh, never bool) {
	for directive := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(directive, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store":
			never = true
		case "no-cache":
			fresh = true
		case "max-age":
			value = strings.Trim(strings.TrimSpace(value), `"`)
			seconds, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				continue
			}
			if !asked || int64(seconds) < age {
				age = int64(seconds)
			}
			asked = true
		}
	}
	return age, asked, fresh, never
}

// find returns a kept answer and its age. It counts what it found.
func (a *answers) find(ctx context.Context, w *recall) (body []byte, age time.Duration, found bool) {
	if w.key == "" {
		return nil, 0, false
	}
	if w.maxAge > 0 {
		kept, is := a.space.Lookup(ctx, w.key)
		if is && len(kept) > answerStamp {
			made := time.UnixMilli(int64(binary.BigEndian.Uint64(kept)))
			if age = max(0, a.now().Sub(made)); age <= w.maxAge {
				w.state = cacheHit
				a.results.WithLabelValues(cacheHit).Inc()
				return kept[answerStamp:], age, true
			}
		}
	}
	a.results.WithLabelValues(cacheMiss).Inc()
	return nil, 0, false
}

// keep stores an answer as the next one who asks is to see it. Failing costs nothing but
// a hit.
func (a *answers) keep(key string, body []byte) {
	if key == "" || len(body) > maxCachedAnswer {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerPutIn)
	defer cancel()
	value := binary.BigEndian.AppendUint64(make([]byte, 0, answerStamp+len(body)), uint64(a.now().UnixMilli()))
	if a.space.Put(ctx, key, append(value, body...)) == nil {
		a.results.WithLabelValues("stored").Inc()
	}
}

// keepAnswer keeps an unstreamed answer that came to its end, at a cost of zero.
func (a *answers) keepAnswer(w recall, r *llm.Request, body []byte, receipt Receipt) {
	if w.key == "" || !wellEnded(r, receipt.Finish) {
		return
	}
	if free, err := sjson.SetRawBytes(body, "usage.cost", []byte(billing.FormatUSD(0))); err == nil {
		a.keep(w.key, free)
	}
}

// wellEnded tells whether an answer is whole: the model stopped by itself, or at the
// length that the request itself stated. A length that the balance set is no answer to
// somebody who has more.
func wellEnded(r *llm.Request, finish string) bool {
	return finish == llm.FinishStop || finish == llm.FinishLength && r.MaxOutput > 0
}

// tape takes down the events of a streamed answer, as long as they may be kept.
type tape struct {
	recall
	request *llm.Request
	events  []byte
	over    bool // it became too long
	trail   *trail
}

// record adds whole events.
func (t *tape) record(events []byte) {
	if t.key == "" || t.over {
		return
	}
	if t.over = len(t.events)+len(events) > maxCachedAnswer; t.over {
		t.events = nil
		return
	}
	t.events = append(t.events, events...)
}

// wanted tells whether what was taken down may be kept: the answer came to its end.
func (t *tape) wanted(receipt Receipt) bool {
	return t.key != "" && !t.over && wellEnded(t.request, receipt.Finish)
}

// repeat answers with a kept answer, if its sender may have one: the call is
// authenticated and counts as a request, and nothing is held or charged for it.
func (s *Server) repeat(c *fiber.Ctx, key billing.PresentedKey, request *llm.Request, body []byte, age time.Duration) error {
	v, err := s.visitWith(c, key, request.Model)
	if err != nil {
		return err
	}
	if !v.Active {
		return billing.ErrAccountInactive
	}
	s.trail(c).hit()
	header := &c.Response().Header
	header.Set(headerCache, cacheHit)
	header.Set(fiber.HeaderAge, strconv.FormatInt(int64(age/time.Second), 10))
	header.Set(headerCost, billing.FormatUSD(0))
	if request.Stream {
		streamHeaders(header)
	} else {
		header.SetContentType(fiber.MIMEApplicationJSON)
	}
	c.Response().SetBodyRaw(body)
	return nil
}
