package talk

import (
	"context"
	"errors"
	"testing"
)

// TestRestart: what comes before the first word makes the attempt vain, once; what comes
// after it does not.
func TestRestart(t *testing.T) {
	t.Parallel()
	all := newRunning()
	one := all.begin(t.Context(), &turn{draft: 1})
	defer one.end()
	first := one.attempt
	if !one.more() || one.more() {
		t.Fatal("not restarted, or twice")
	}
	if cause := context.Cause(first); !errors.Is(cause, errMore) || one.life.Err() != nil {
		t.Errorf("the first attempt ended with %v, the turn with %v", cause, one.life.Err())
	}
	if _, err := one.word(); !errors.Is(err, errMore) {
		t.Errorf("a word of the vain attempt is taken: %v", err)
	}
	one.again()
	if begins, err := one.word(); !begins || err != nil {
		t.Errorf("the first word: %v, %v", begins, err)
	}
	if one.more() || one.attempt.Err() != nil {
		t.Error("restarted after the first word")
	}
	one.stop()
	if cause := context.Cause(one.attempt); !errors.Is(cause, ErrStopped) {
		t.Errorf("stopped with %v", cause)
	}
}
