package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
)

const (
	profileLife = 5 * time.Minute // unless Options.CacheTTL says otherwise
	usageLife   = time.Minute
	tiersLife   = 5 * time.Minute
	tiersKey    = "all"
	// tiersGrace is how long the list of tiers is shown while a new one cannot be read.
	tiersGrace = 24 * time.Hour
	// acquaintIn bounds what keeping a profile up to date may take: nobody waits for it
	// but the person's next message.
	acquaintIn = 2 * time.Second
)

// kept is what the handlers keep in the cache: what is shown to people and may be some
// minutes old. No balance, key or limit is in it: the list of tiers is words.
type kept struct {
	profiles *cache.Space[billing.Profile]
	usage    *cache.Space[[]billing.Spending]
	tiers    *cache.Space[[]string]
}

// newKept returns nil without a cache: then everything is read where it stands.
func newKept(c *cache.Cache, profiles time.Duration) *kept {
	if c == nil {
		return nil
	}
	if profiles <= 0 {
		profiles = profileLife
	}
	return &kept{
		profiles: cache.NewSpace[billing.Profile](c, cache.SpaceOptions{
			Name: "profiles", TTL: profiles, L1TTL: profiles, Negative: min(usageLife, profiles), NotFound: billing.ErrAccountUnknown,
		}),
		usage: cache.NewSpace[[]billing.Spending](c, cache.SpaceOptions{Name: "usage", TTL: usageLife, Tags: usageTags}),
		tiers: cache.NewSpace[[]string](c, cache.SpaceOptions{Name: "tiers", TTL: tiersLife, Grace: tiersGrace}),
	}
}

func profileKey(person int64) string { return strconv.FormatInt(person, 10) }

// usageKey names a month of an account, behind the account's tag.
func usageKey(account int64, month span) string {
	return usageTag(account) + ":" + month.from.Format(monthForm)
}

func usageTag(account int64) string { return strconv.FormatInt(account, 10) }

func usageTags(key string) []string {
	account, _, _ := strings.Cut(key, ":")
	return []string{account}
}

// acquaint takes over a name or language that the person has changed. Every message tells
// both; what the account has of them is read from Postgres once in five minutes. Nothing
// fails with it.
func (r *Router) acquaint(ctx context.Context, q request) {
	if r.kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, acquaintIn)
	defer cancel()
	known, err := r.kept.profiles.Fetch(ctx, profileKey(q.from.ID), func(ctx context.Context) (billing.Profile, error) {
		return r.Accounts.Profile(ctx, q.from.ID)
	})
	if told := profileOf(q); err == nil && known != told {
		if err = r.Accounts.Rename(ctx, told); err == nil {
			r.met(ctx, told)
		}
	}
	if err != nil && !errors.Is(err, billing.ErrAccountUnknown) { // or not yet known
		r.Log.DebugContext(ctx, "profile left as it is", "error", err)
	}
}

// profileOf is what an update tells of the person it is from.
func profileOf(q request) billing.Profile {
	return billing.Profile{
		TelegramID: q.from.ID,
		Name:       strings.TrimSpace(q.from.FirstName + " " + q.from.LastName),
		Language:   q.from.LanguageCode,
	}.Clean()
}

// met notes what an account has of its owner by now.
func (r *Router) met(ctx context.Context, p billing.Profile) {
	if r.kept == nil {
		return
	}
	if err := r.kept.profiles.Put(ctx, profileKey(p.TelegramID), p); err != nil {
		r.Log.DebugContext(ctx, "profile not told to all instances yet", "error", err)
	}
}

// spent is what an account paid in a span by model. This month's is at most a minute old.
func (r *Router) spent(ctx context.Context, account int64, s span, now time.Time) ([]billing.Spending, error) {
	read := func(ctx context.Context) ([]billing.Spending, error) {
		return r.Ledger.Spending(ctx, account, s.from, s.step(1).from)
	}
	if r.kept == nil || s != monthOf(now) {
		return read(ctx)
	}
	return r.kept.usage.Fetch(ctx, usageKey(account, s), read)
}

// spentMore forgets what this month came to, after a call in the chat.
func (r *Router) spentMore(ctx context.Context, account int64) {
	if r.kept == nil {
		return
	}
	if err := r.kept.usage.Invalidate(ctx, usageKey(account, monthOf(r.now()))); err != nil {
		r.Log.DebugContext(ctx, "usage not forgotten on all instances yet", "error", err)
	}
}

// forgetPerson drops what is kept of a person who has left.
func (r *Router) forgetPerson(ctx context.Context, person, account int64) error {
	if r.kept == nil {
		return nil
	}
	err := errors.Join(
		r.kept.profiles.Invalidate(ctx, profileKey(person)),
		r.kept.usage.InvalidateTag(ctx, usageTag(account)),
	)
	if r.Answers != nil {
		err = errors.Join(err, r.Answers(ctx, account))
	}
	if errors.Is(err, cache.ErrUnshared) {
		return nil // in force here, and repeated until it is everywhere
	}
	return err
}

// WarmTiers sees that the list of tiers is there before anybody asks for it.
func (r *Router) WarmTiers(ctx context.Context) error {
	_, err := r.tierLines(ctx)
	return err
}

// tierLines are the tiers in words, one a line. They are for people: what a call may do is
// never decided by them.
func (r *Router) tierLines(ctx context.Context) ([]string, error) {
	read := func(ctx context.Context) ([]string, error) {
		tiers, err := r.Tiers.List(ctx)
		if err != nil {
			return nil, err
		}
		lines := make([]string, 0, len(tiers))
		for _, t := range tiers {
			lines = append(lines, t.Name+": "+limitWords(t.Limits))
		}
		return lines, nil
	}
	if r.kept == nil {
		return read(ctx)
	}
	return r.kept.tiers.Fetch(ctx, tiersKey, read)
}

// limitWords says what limits allow: "600 requests a minute, 5 answers at a time".
func limitWords(l billing.Limits) string {
	var words []string
	say := func(n int64, text string) {
		if n > 0 {
			words = append(words, fmt.Sprintf(text, grouped(n)))
		}
	}
	say(l.RequestsPerMinute, "%s requests a minute")
	say(l.TokensPerMinute, "%s tokens a minute")
	say(l.Concurrency, "%s answers at a time")
	if l.RefillMilli > 0 {
		words = append(words, fmt.Sprintf("bursts of %s, then %g a second", grouped(l.Burst), float64(l.RefillMilli)/1000))
	}
	if len(words) == 0 {
		return "no limit of its own"
	}
	return strings.Join(words, ", ")
}
