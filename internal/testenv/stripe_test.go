package testenv_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestStripeChecksRequests: what the specification does not know is refused, so that a
// wrong request of ours turns a test red.
func TestStripeChecksRequests(t *testing.T) {
	address := testenv.Stripe(t)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for form, want := range map[string]int{"mode=payment": http.StatusOK, "mode=payment&nonsense=1": http.StatusBadRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/v1/checkout/sessions", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", "Bearer sk_test_123")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", form, response.StatusCode, want)
		}
	}
}
