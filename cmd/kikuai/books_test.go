package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

const sitePepper = "the pepper of simulated sites: no secret"

// another is a second server's view of the site: addresses of its own, everything
// else shared.
func (s *site) another() *site {
	s.t.Helper()
	twin := *s
	twin.env = maps.Clone(s.env)
	twin.env["LISTEN_ADDR"], twin.env["OPS_ADDR"] = freeAddr(s.t), freeAddr(s.t)
	twin.url = "http://" + twin.env["LISTEN_ADDR"]
	return &twin
}

// useDatabase gives the site another, migrated database.
func (s *site) useDatabase(url string) {
	s.t.Helper()
	s.env["DATABASE_URL"], s.database = url, url
	s.command("migrate")
}

// desk is the site's money as the test itself may use it, where an admin command for
// each step would take too long. It relays and drains nothing.
func (s *site) desk() *billing.Desk {
	s.t.Helper()
	desk, err := s.ownDesk()
	if err != nil {
		s.t.Fatal(err)
	}
	return desk
}

// newDesk is what desk gives, made when it is first asked for.
func (s *site) newDesk() func() (*billing.Desk, error) {
	return sync.OnceValues(func() (*billing.Desk, error) {
		pool, err := postgres.Open(s.t.Context(), s.env["DATABASE_URL"], postgres.Options{MaxConns: 4})
		if err != nil {
			return nil, err
		}
		s.t.Cleanup(pool.Close)
		stores, err := openRedis(strings.Split(s.env["REDIS_URL"], ","), false, nil, testenv.Logger(s.t))
		if err != nil {
			return nil, err
		}
		s.t.Cleanup(func() { _ = stores.close() })
		return billing.New(billing.Config{
			Redis: stores.quick, Postgres: pool, Log: testenv.Logger(s.t), Peppers: []string{s.env["KEY_PEPPER"]}, StarNano: starNano,
		})
	})
}

// customer is an account with an API key.
type customer struct {
	account int64
	key     string
}

// customer opens a Telegram user's account with that much money, in nano-USD.
func (s *site) customer(telegramID int, nano int64) customer {
	s.t.Helper()
	desk, ctx := s.desk(), s.t.Context()
	account, _, err := desk.Accounts.Register(ctx, int64(telegramID), billing.House)
	if err != nil {
		s.t.Fatal(err)
	}
	if nano > 0 {
		_, err := desk.Accounts.Credit(ctx, billing.Credit{
			AccountID: account.ID, AmountNano: nano, Kind: billing.CreditAdjustment, IdempotencyKey: fmt.Sprintf("first:%d", telegramID),
			By: billing.House,
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, key, err := desk.Keys.Create(ctx, billing.KeySpec{AccountID: account.ID, Name: "proof", By: billing.House})
	if err != nil {
		s.t.Fatal(err)
	}
	return customer{account.ID, key}
}

// deliver is what Telegram does with an update; the answer is its status, 0 for none.
func (s *site) deliver(update string) int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/webhook", strings.NewReader(update))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Telegram-Bot-Api-Secret-Token", simSecret)
	response, err := s.client.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
