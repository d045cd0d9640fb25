package doctor

import (
	"context"
	"io"
	"net/http"
)

// Cards is the account at Stripe.
type Cards struct {
	Key    string
	API    string // address
	Client *http.Client
}

// Checks of card payments.
func (c Cards) Checks() []Check { return []Check{{"cards", c.key}} }

// key asks for the newest event, which costs nothing and is what the reconciliation asks.
func (c Cards) key(ctx context.Context) []Finding {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.API+"/v1/events?limit=1", http.NoBody)
	if err != nil {
		return []Finding{fault("correct STRIPE_API_URL", "STRIPE_API_URL cannot be called.")}
	}
	request.Header.Set("Authorization", "Bearer "+c.Key)
	response, err := c.Client.Do(request)
	if err != nil {
		return []Finding{warning("look whether this machine reaches it", "Stripe does not answer: %s.", reason(withoutAddress(err)))}
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, pageMost)) // its status says enough
	switch response.StatusCode {
	case http.StatusOK:
		return []Finding{well("Stripe takes our key.")}
	case http.StatusUnauthorized:
		return []Finding{fault("copy STRIPE_SECRET_KEY whole from Stripe's dashboard", "Stripe refuses our key.")}
	case http.StatusForbidden:
		return []Finding{fault("let the restricted key read Events, and write Checkout Sessions and Refunds", "Stripe does not let our key read events: missed payments would not be found.")}
	}
	return []Finding{warning("look at Stripe's status page", "Stripe answers %d.", response.StatusCode)}
}
