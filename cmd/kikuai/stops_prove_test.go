//go:build prove

package main

import (
	"slices"
	"testing"
	"time"
)

// TestProveStop (make prove-stop): a hundred answers, all of them stopped; here, on a
// machine that does nothing else, in time too.
func TestProveStop(t *testing.T) {
	p := stopping(t, plainBinary, presses{chats: 100, apart: 25 * time.Millisecond})
	if took := p.ninetyNinth(); took >= 300*time.Millisecond {
		t.Errorf("from the press to the end of the provider's call: p99 %s", took)
	}
	if frame := int((stopsFrame+p.ninetyNinth())/stopsCadence) + 1; slices.Max(p.further) > frame {
		t.Errorf("%d tokens billed beyond the screen at the press; a frame has %d", slices.Max(p.further), frame)
	}
}
