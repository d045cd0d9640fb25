package doctor

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestClocks(t *testing.T) {
	t.Parallel()
	telegram := httptest.NewServer(http.NotFoundHandler()) // which tells the time all the same
	defer telegram.Close()
	web := NewWebClient(nil)
	defer web.CloseIdleConnections()
	c := Clocks{Redis: testenv.Redis(t), Postgres: testenv.Postgres(t), Telegram: telegram.URL, Web: web, Now: time.Now}
	if err := c.Postgres.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, c.Checks(), "clocks", "ok: agrees with that of Postgres, Redis, Telegram")
	ours := func(ahead time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(ahead) } }
	c.Now = ours(time.Hour)
	expect(t, c.Checks(), "clocks", "fault: Postgres's clock is 1h0m0s behind", "fault: Redis's clock is 1h0m0s behind", "fault: Telegram's clock is")
	c.Now = ours(-20 * time.Second)
	expect(t, c.Checks(), "clocks", "warning: Postgres's clock is 20s ahead", "warning: Redis's clock is 20s ahead", "warning: Telegram's clock is")
	expect(t, Clocks{Web: web, Now: time.Now}.Checks(), "clocks")
}
