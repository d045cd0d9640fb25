package stream_test

import (
	"os"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// childVariable makes this test binary an instance of its own that holds leases on
// the Redis at the given address until it is killed.
const childVariable = "KIKUAI_STREAM_CHILD"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childVariable); addr != "" {
		holdLeases(addr)
		return
	}
	testenv.Main(m)
}
