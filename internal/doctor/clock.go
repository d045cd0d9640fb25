package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

const (
	skewWorth = 2 * time.Second // a word
	skewMost  = 30 * time.Second
	dateGrain = time.Second // of an HTTP date
)

// Clocks compares this machine's clock with those that decide: Redis' (limits, holds),
// Postgres' (months), Telegram's (who opens the Mini App). Nil and empty ones are left out.
type Clocks struct {
	Redis    redis.UniversalClient
	Postgres *pgxpool.Pool
	Telegram string // an address of the Bot API
	Web      *http.Client
	Now      func() time.Time
}

// Checks of the clocks.
func (c Clocks) Checks() []Check { return []Check{{"clocks", c.compare}} }

// reading is another's clock. It was read between two looks at ours.
type reading struct {
	whose string
	skew  time.Duration // ahead of ours
	grain time.Duration // that it may be off by
}

func (c Clocks) compare(ctx context.Context) []Finding {
	var (
		mu       sync.Mutex
		readings []reading
		asking   sync.WaitGroup
	)
	for whose, ask := range map[string]func(context.Context) (time.Time, time.Duration, error){
		"Redis": c.redis, "Postgres": c.postgres, "Telegram": c.telegram,
	} {
		asking.Go(func() {
			before := c.Now()
			at, grain, err := ask(ctx)
			took := c.Now().Sub(before)
			if err != nil || at.IsZero() {
				return // whether it is there, others tell
			}
			mu.Lock()
			defer mu.Unlock()
			readings = append(readings, reading{whose, at.Sub(before.Add(took / 2)), grain + took/2})
		})
	}
	asking.Wait()
	slices.SortFunc(readings, func(a, b reading) int { return strings.Compare(a.whose, b.whose) })
	return judgeClocks(readings)
}

func judgeClocks(readings []reading) (found []Finding) {
	var agree []string
	for _, r := range readings {
		off := max(0, r.skew.Abs()-r.grain)
		side := "ahead of"
		if r.skew < 0 {
			side = "behind"
		}
		says := fmt.Sprintf("%s's clock is %s %s this machine's.", r.whose, r.skew.Abs().Round(100*time.Millisecond), side)
		const mend = "let both machines follow NTP (chrony, systemd-timesyncd)"
		switch {
		case off > skewMost:
			found = append(found, fault(mend, "%s", says))
		case off > skewWorth:
			found = append(found, warning(mend, "%s", says))
		default:
			agree = append(agree, r.whose)
		}
	}
	if len(agree) > 0 {
		found = append(found, well("This machine's clock agrees with that of %s.", strings.Join(agree, ", ")))
	}
	return found
}

func (c Clocks) redis(ctx context.Context) (time.Time, time.Duration, error) {
	if c.Redis == nil {
		return time.Time{}, 0, nil
	}
	at, err := c.Redis.Time(ctx).Result()
	return at, 0, err
}

func (c Clocks) postgres(ctx context.Context) (at time.Time, grain time.Duration, err error) {
	if c.Postgres == nil {
		return at, 0, nil
	}
	err = c.Postgres.QueryRow(ctx, `select clock_timestamp()`).Scan(&at)
	return at, 0, err
}

// telegram reads the Date of an answer, whatever it answers.
func (c Clocks) telegram(ctx context.Context) (time.Time, time.Duration, error) {
	if c.Telegram == "" {
		return time.Time{}, 0, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, c.Telegram+"/", http.NoBody)
	if err != nil {
		return time.Time{}, 0, err
	}
	response, err := c.Web.Do(request)
	if err != nil {
		return time.Time{}, 0, err
	}
	_ = response.Body.Close()
	at, err := http.ParseTime(response.Header.Get("Date"))
	return at, dateGrain, err
}
