//go:build prove

package gateway

import "testing"

// TestProveDisconnects: ten thousand clients and providers of which many do not stay.
func TestProveDisconnects(t *testing.T) { disconnects(t, 10_000, 64) }
