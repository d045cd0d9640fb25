package gateway

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	scopeEveryone = "everyone"
	everyoneTag   = "all" // of the one key that all calls of the installation share

	// hintsMost is how many accounts are known to be of an organisation. Those that are
	// not need no hint.
	hintsMost = 128 << 10
)

//go:embed scripts/organisation.lua
var organisationLua string

// shared asks for what more than one account shares: an organisation's limits and budget,
// on the organisation's shard, and the limit of the whole installation. Which organisation
// an account is of is kept here as a hint; the account's shard says whether it is right.
type shared struct {
	redis    redis.Scripter
	link     *link
	script   *redis.Script
	limits   limits
	everyone int64 // requests per minute of the whole installation; 0: no limit
	back     returner
	hints    *recent[int64, int64]
}

// limits are what calls take from outside of the gate's scripts, and true up.
type limits interface {
	Take(ctx context.Context, id string, life time.Duration, limits []ratelimit.Limit) (ratelimit.Decision, ratelimit.Ticket, error)
	Finish(ctx context.Context, t ratelimit.Ticket, used ratelimit.Used) error
	GiveBack(ctx context.Context, t ratelimit.Ticket) error
	Renew(ctx context.Context, tickets []ratelimit.Ticket, life time.Duration) error
}

func newShared(r redis.Scripter, w *link, l limits, everyone int64, back returner, now func() time.Time) *shared {
	return &shared{
		redis: r, link: w, limits: l, everyone: everyone, back: back,
		script: redis.NewScript(ratelimit.Lua() + billing.OrganisationLua + fitLua + organisationLua),
		hints:  newRecent[int64, int64](hintsMost, 0, now),
	}
}

// share is what a call has of what is shared.
type share struct {
	name     string // the organisation's id; "": none
	decision ratelimit.Decision
	taken    taken
	want     int64 // nano-USD that the organisation's budget admits
	resolved bool  // the call's claim on it was resolved before
}

// narrow is what may then be asked of the account.
func (s *share) narrow(r reservation) reservation {
	if s.name == "" {
		return r
	}
	r.want, r.least, r.resolved = min(r.want, s.want), min(r.least, s.want), s.resolved
	for _, took := range s.taken.org.Taken {
		if took.Name == ratelimit.NameTokens && took.Cost > 0 {
			r.tokens = r.tokens.atMost(took.Cost)
		}
	}
	return r
}

// learn notes which organisation an account is of, "": none, and returns its id.
func (s *shared) learn(account int64, organisation string) int64 {
	id, err := strconv.ParseInt(organisation, 10, 64)
	if err != nil || id <= 0 {
		s.hints.drop(account)
		return 0
	}
	s.hints.put(account, id)
	return id
}

// hint is the organisation that an account is thought to be of; 0: none.
func (s *shared) hint(account int64) int64 {
	organisation, _ := s.hints.get(account)
	return organisation
}

// take asks for what a call of an account of that organisation needs of what is shared,
// all or nothing. The errors are those of [gate.admit]; with one of a limit comes its
// decision.
func (s *shared) take(ctx context.Context, account, organisation int64, r *reservation) (share, error) {
	member := organisation > 0
	if !member && s.everyone <= 0 {
		return share{}, nil
	}
	id := newHoldID()
	if r != nil {
		id = strconv.FormatInt(account, 10) + ":" + r.holdID
	}
	var (
		of, all       share
		ofErr, allErr error
	)
	ofAll := func(ctx context.Context) error { all, allErr = s.takeOfAll(ctx, id); return nil }
	ofOrganisation := func(ctx context.Context) error {
		of, ofErr = s.takeOfOrganisation(ctx, organisation, account, id, r)
		return nil
	}
	switch {
	case member && s.everyone > 0:
		_ = together(ctx, ofAll, ofOrganisation) // the errors are theirs
	case member:
		_ = ofOrganisation(ctx)
	default:
		_ = ofAll(ctx)
	}
	of.taken.all = all.taken.all
	if err := errors.Join(ofErr, allErr); err != nil {
		s.back.giveBack(of.taken)
		if ofErr == nil {
			of.decision = all.decision
		}
		return of, first(ofErr, allErr)
	}
	of.decision.Results = append(of.decision.Results, all.decision.Results...)
	return of, nil
}

// first is the first value that is not none.
func first[T comparable](values ...T) (none T) {
	for _, v := range values {
		if v != none {
			return v
		}
	}
	return none
}

// takeOfAll takes one request of the whole installation's.
func (s *shared) takeOfAll(ctx context.Context, id string) (share, error) {
	type outcome struct {
		decision ratelimit.Decision
		ticket   ratelimit.Ticket
	}
	o, err := ask(ctx, s.link, func(ctx context.Context) (outcome, error) {
		d, ticket, err := s.limits.Take(ctx, id, 0, []ratelimit.Limit{{
			Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: scopeEveryone,
			Key: ratelimit.Key(everyoneTag, scopeEveryone, "requests"), Max: s.everyone, Span: time.Minute, Cost: 1,
		}})
		return outcome{d, ticket}, err
	})
	if err != nil {
		return share{}, fmt.Errorf("%w: %w", billing.ErrClosed, err)
	}
	return share{decision: o.decision, taken: taken{all: o.ticket}}, o.decision.Err()
}

// takeOfOrganisation takes of an organisation's limits and budget.
func (s *shared) takeOfOrganisation(ctx context.Context, organisation, account int64, id string, r *reservation) (share, error) {
	unpaid, asked := "", reservation{holdID: id}
	if r == nil {
		unpaid = "1"
	} else {
		asked = *r
	}
	name := strconv.FormatInt(organisation, 10)
	of := share{name: name, taken: taken{
		organisation: organisation, claim: billing.Claim{Organisation: organisation, AccountID: account, HoldID: asked.holdID},
	}}
	keys := []string{
		billing.EpochKey(organisation), billing.OrganisationKey(organisation),
		billing.ClaimKey(organisation, account, asked.holdID), billing.ClaimsKey(organisation),
	}
	reply, err := ask(ctx, s.link, func(ctx context.Context) ([]any, error) {
		return s.script.Run(ctx, s.redis, keys, stream.ShardOf(organisation).Key("lim", "organisation", name), id,
			asked.want, asked.least, asked.life.Milliseconds(),
			asked.tokens.want, asked.tokens.good, asked.tokens.bare, unpaid).Slice()
	})
	if err != nil {
		of.taken.counted = r != nil && !unsent(err) // perhaps: then it is resolved
		return of, fmt.Errorf("%w: %w", billing.ErrClosed, err)
	}
	if len(reply) != 5 {
		return of, errReply
	}
	read := replyReader{reply: reply}
	status := read.text(0)
	of.want, of.taken.counted, of.taken.day = read.number(1), read.text(2) == "1", read.number(3)
	if of.decision, err = ratelimit.ParseReport(read.text(4)); err != nil || read.fault != nil {
		return of, errors.Join(read.fault, err)
	}
	if status == "limited" {
		return of, of.decision.Err()
	}
	of.taken.org = of.decision.Ticket(id)
	of.resolved, err = billing.ClaimOutcome(status, asked.least)
	if err == nil && of.taken.counted {
		failpoint.Here("organisation.claimed")
	}
	if of.resolved {
		of.want, of.taken.counted = asked.want, false
	}
	return of, err
}
