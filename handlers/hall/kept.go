package hall

import (
	"context"
	"errors"
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
	usageMonth  = "2006-01"
	// tiersGrace is how long the list of tiers is shown while a new one cannot be read.
	tiersGrace = 24 * time.Hour
	// settingsGrace is how long settings, and who pays for groups, hold while Postgres is away.
	settingsGrace = 24 * time.Hour
	// AcquaintIn bounds what keeping a profile up to date may take: nobody waits for it
	// but the person's next message.
	AcquaintIn = 2 * time.Second
)

// kept is what the handlers keep in the cache: what is shown to people and may be some
// minutes old. No balance, key or limit is in it: the list of tiers is for reading.
type kept struct {
	profiles *cache.Space[billing.Profile]
	usage    *cache.Space[[]billing.Consumed]
	tiers    *cache.Space[[]Tier]
	settings *cache.Space[billing.Settings]
	sponsors *cache.Space[Sponsor]
}

// Tier is what is told of a tier.
type Tier struct {
	Name   string
	Limits billing.Limits
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
		usage: cache.NewSpace[[]billing.Consumed](c, cache.SpaceOptions{Name: "usage", TTL: usageLife, Tags: usageTags}),
		tiers: cache.NewSpace[[]Tier](c, cache.SpaceOptions{Name: "tiers", TTL: tiersLife, Grace: tiersGrace, Schema: 1}),
		settings: cache.NewSpace[billing.Settings](c, cache.SpaceOptions{
			Name: "settings", TTL: profiles, L1TTL: profiles, Grace: settingsGrace,
		}),
		sponsors: cache.NewSpace[Sponsor](c, cache.SpaceOptions{
			Name: "sponsors", TTL: profiles, L1TTL: profiles, Grace: settingsGrace,
		}),
	}
}

func profileKey(person int64) string { return strconv.FormatInt(person, 10) }

// usageKey names the month, by its beginning, of an account in a zone, behind the account's tag.
func usageKey(account int64, month time.Time) string {
	return usageTag(account) + ":" + month.Format(usageMonth) + ":" + month.Location().String()
}

func usageTag(account int64) string { return strconv.FormatInt(account, 10) }

func usageTags(key string) []string {
	account, _, _ := strings.Cut(key, ":")
	return []string{account}
}

// Acquaint takes over a name or language that the person has changed. Every message tells
// both; what the account has of them is read from Postgres once in five minutes. Nothing
// fails with it.
func (h *Hall) Acquaint(ctx context.Context, q Request) {
	if h.kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, AcquaintIn)
	defer cancel()
	known, err := h.kept.profiles.Fetch(ctx, profileKey(q.From.ID), func(ctx context.Context) (billing.Profile, error) {
		return h.Accounts.Profile(ctx, q.From.ID)
	})
	if told := ProfileOf(q); err == nil && known != told {
		if err = h.Accounts.Rename(ctx, told); err == nil {
			h.Met(ctx, told)
		}
	}
	if err != nil && !errors.Is(err, billing.ErrAccountUnknown) { // or not yet known
		h.Log.DebugContext(ctx, "profile left as it is", "error", err)
	}
}

// SpentIn is what an account paid in the month that begins then, at most a minute old.
func (h *Hall) SpentIn(ctx context.Context, account int64, month time.Time, read func(context.Context) ([]billing.Consumed, error)) ([]billing.Consumed, error) {
	if h.kept == nil {
		return read(ctx)
	}
	return h.kept.usage.Fetch(ctx, usageKey(account, month), read)
}

// SpentMore forgets what this month came to, after a call in the chat.
func (h *Hall) SpentMore(ctx context.Context, account int64) {
	if h.kept == nil {
		return
	}
	if err := h.kept.usage.InvalidateTag(ctx, usageTag(account)); err != nil {
		h.Log.DebugContext(ctx, "usage not forgotten on all instances yet", "error", err)
	}
}

// KeepSettings has all instances speak to a person by their new settings. What cannot be
// shared yet is in force here, and repeated until it is everywhere.
func (h *Hall) KeepSettings(ctx context.Context, person int64, settings billing.Settings) error {
	if h.kept == nil {
		return nil
	}
	if err := h.kept.settings.Put(ctx, profileKey(person), settings); !errors.Is(err, cache.ErrUnshared) {
		return err
	}
	return nil
}

// ForgetPerson drops what is kept of a person who has left.
func (h *Hall) ForgetPerson(ctx context.Context, person, account int64) error {
	if h.kept == nil {
		return nil
	}
	err := errors.Join(
		h.kept.profiles.Invalidate(ctx, profileKey(person)),
		h.kept.settings.Invalidate(ctx, profileKey(person)),
		h.kept.usage.InvalidateTag(ctx, usageTag(account)),
	)
	if h.Answers != nil {
		err = errors.Join(err, h.Answers(ctx, account))
	}
	if errors.Is(err, cache.ErrUnshared) {
		return nil // in force here, and repeated until it is everywhere
	}
	return err
}

// WarmTiers sees that the list of tiers is there before anybody asks for it.
func (h *Hall) WarmTiers(ctx context.Context) error {
	_, err := h.TierList(ctx)
	return err
}

// TierList are told to people: what a call may do is never decided by them.
func (h *Hall) TierList(ctx context.Context) ([]Tier, error) {
	read := func(ctx context.Context) ([]Tier, error) {
		list, err := h.Tiers.List(ctx)
		if err != nil {
			return nil, err
		}
		tiers := make([]Tier, 0, len(list))
		for _, t := range list {
			tiers = append(tiers, Tier{Name: t.Name, Limits: t.Limits})
		}
		return tiers, nil
	}
	if h.kept == nil {
		return read(ctx)
	}
	return h.kept.tiers.Fetch(ctx, tiersKey, read)
}
