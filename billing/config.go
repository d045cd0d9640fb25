package billing

import (
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

// Config is what the engine of money is made of.
type Config struct {
	Redis         redis.Cmdable         // hot path; may be an AutoPipeliner
	Blocking      redis.UniversalClient // Engine only: blocking and large reads; 16 connections and a few
	Postgres      *pgxpool.Pool
	Reads         *postgres.Reads // of what may be a little out of date; nil: all is read from Postgres
	Leases        *stream.Leases  // Engine only
	Log           *slog.Logger
	Registerer    prometheus.Registerer // nil: nothing is registered
	Peppers       []string              // secrets of API keys, newest first
	Now           func() time.Time      // nil: time.Now; tells the age of events, decides nothing
	WelcomeCredit int64                 // nano-USD given once to a new account; 0: none
	ReferralNano  int64                 // nano-USD given to both sides of an invitation; 0: none
	ReferralMost  int                   // invitations of an account that are rewarded in a month
	StarNano      int64                 // nano-USD that a Telegram Star is credited with; 0: none are taken
	Stripe        *StripeOptions        // nil: no card payments
	LowBalance    int64                 // nano-USD below which an owner is told, unless theirs says otherwise; 0: never
	ReapGrace     time.Duration         // Engine only: how long calls get to renew their holds after a hand-over or an outage of Redis; 0: 10 s
	MaxLag        time.Duration         // how far the ledger may be behind before calls stop; 0: DefaultMaxLag
	MaxBacklog    int                   // events of one shard that may wait for it; 0: DefaultMaxBacklog
}

// Desk is everything that is money, wired together.
type Desk struct {
	Accounts  *Accounts
	Keys      *Keys
	Holds     *Holds
	Ledger    *Ledger
	Backlog   *Backlog
	Engine    *Engine
	Payments  *Payments
	Jobs      *Jobs
	Notices   *Notices
	Checkouts *Checkouts
	Settings  *SettingsStore
	Gifts     *Gifts
	Shards    *Shards

	Tiers         *Tiers
	Organisations *Organisations
}

// New wires the parts. It connects to nothing. Engine is nil unless Blocking
// and Leases are given.
func New(c Config) (*Desk, error) {
	if c.Redis == nil || c.Postgres == nil || c.Log == nil {
		return nil, errors.New("billing: Redis, Postgres and Log are required")
	}
	if c.WelcomeCredit < 0 || c.WelcomeCredit > MaxCredit {
		return nil, errors.New("billing: the welcome credit is out of bounds")
	}
	if c.ReferralNano < 0 || c.ReferralNano > MaxCredit || c.ReferralMost < 0 {
		return nil, errors.New("billing: the credit for invitations is out of bounds")
	}
	if c.StarNano < 0 || c.StarNano > NanoPerUSD {
		return nil, errors.New("billing: the worth of a Star is out of bounds")
	}
	if c.LowBalance < 0 || c.LowBalance > MaxNano {
		return nil, errors.New("billing: the low balance is out of bounds")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Reads == nil {
		c.Reads = postgres.NewReads(postgres.ReadsOptions{Primary: c.Postgres, Log: c.Log})
	}
	ring, err := newPeppers(c.Peppers)
	if err != nil {
		return nil, err
	}
	s := newScripts()
	m := newMetrics(c.Registerer)
	p := &projector{redis: c.Redis, postgres: c.Postgres, scripts: s}
	desk := &Desk{
		Accounts: &Accounts{redis: c.Redis, postgres: c.Postgres, scripts: s, projector: p, log: c.Log, welcome: c.WelcomeCredit, peppers: ring,
			referral: c.ReferralNano},
		Keys:     &Keys{postgres: c.Postgres, projector: p, log: c.Log, peppers: ring},
		Holds:    &Holds{redis: c.Redis, postgres: c.Postgres, scripts: s, metrics: m},
		Ledger:   &Ledger{postgres: c.Postgres, reads: c.Reads, redis: c.Redis},
		Backlog:  newBacklog(c),
		Jobs:     newJobs(c.Postgres, c.Log, c.Registerer),
		Notices:  &Notices{postgres: c.Postgres},
		Settings: &SettingsStore{redis: c.Redis, postgres: c.Postgres},
		Shards:   &Shards{redis: c.Redis, postgres: c.Postgres},

		Tiers:         &Tiers{postgres: c.Postgres, projector: p},
		Organisations: &Organisations{redis: c.Redis, postgres: c.Postgres, scripts: s, projector: p},
	}
	desk.Gifts = &Gifts{redis: c.Redis, postgres: c.Postgres, scripts: s, accounts: desk.Accounts, log: c.Log, peppers: ring, least: GiftLeast}
	desk.Payments = newPayments(c, desk.Accounts, ring)
	desk.Checkouts = newCheckouts(c, desk.Payments, desk.Jobs)
	if c.Blocking != nil && c.Leases != nil {
		desk.Engine = newEngine(c, s, m)
	}
	return desk, nil
}
