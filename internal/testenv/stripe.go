package testenv

import (
	"context"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv/stripemock"
)

// mock is the Stripe of this test binary, started by the first test that needs
// it: it keeps nothing between requests, so that all may share it.
var mock struct {
	once   sync.Once
	server *stripemock.Server
	err    error
}

// Stripe returns the URL of Stripe's own mock of its API.
func Stripe(t testing.TB) string {
	t.Helper()
	mock.once.Do(func() { mock.server, mock.err = stripemock.Start(context.Background()) })
	if mock.err != nil {
		t.Fatalf("testenv: %v", mock.err)
	}
	return mock.server.URL
}

func closeStripe() error {
	if mock.server == nil {
		return nil
	}
	return mock.server.Close()
}
