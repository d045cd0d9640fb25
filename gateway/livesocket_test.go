package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

// porter lets in whom the gateway names, and tells whom.
type porter struct{ in []billing.Presence }

// Serve takes the body for a client's first message, as sockets do without a header.
func (p *porter) Serve(c *fiber.Ctx, who *billing.Presence, admit func(context.Context, string) (billing.Presence, error)) error {
	if who == nil {
		named, err := admit(c.Context(), c.Query("token"))
		if err != nil {
			return err
		}
		who = &named
	}
	p.in = append(p.in, *who)
	return c.SendStatus(http.StatusOK)
}

// What is new about an account is for its owner: a key that is restricted in any way is
// not let in, whether it stands in a header or in the first message.
func TestLiveSocketAsksKeys(t *testing.T) {
	p := &porter{}
	r := newRig(t, func(s *setup) { s.server.Sockets = p })
	account, key := r.account(dollar)
	_, _, elsewhere := r.restricted(billing.Restrictions{Networks: []netip.Prefix{network(t, "203.0.113.0/24")}})
	_, _, modest := r.restricted(billing.Restrictions{Models: []string{"word"}})
	for token, want := range map[string]struct {
		status int
		words  string
	}{
		key:         {200, ""},
		elsewhere:   {403, "may not be used from 127.0.0.1"},
		modest:      {403, "key_restricted"},
		key + "x":   {401, "invalid_api_key"},
		"kk_1_none": {401, "invalid_api_key"},
	} {
		in := len(p.in)
		for _, a := range []answer{r.do("GET", "/api/v1/live", token, ""), r.do("GET", "/api/v1/live?token="+token, "", "")} {
			if a.status != want.status || !strings.Contains(a.body, want.words) {
				t.Errorf("%.8s…: %d %s, want %d", token, a.status, a.body, want.status)
			}
		}
		if got := len(p.in) - in; got != 0 != (want.status == 200) {
			t.Errorf("%.8s… was let in %d times", token, got)
		}
	}
	for _, who := range p.in {
		if who.AccountID != account || who.KeyID != r.keyID(key) {
			t.Errorf("let in as %+v", who)
		}
	}
}
