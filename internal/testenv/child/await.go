package child

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// ErrEnded says that a child ended before it was ready; its output is in Tail.
var ErrEnded = errors.New("ended at start")

// Await asks ready, again and again, until it says yes. It gives up when the
// child ends (ErrEnded; ErrPortTaken too, where it says so itself) or ctx does;
// what the child printed is in the error.
func (p *Process) Await(ctx context.Context, every time.Duration, ready func(context.Context) bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	name := filepath.Base(p.cmd.Path)
	for {
		if ready(ctx) {
			return nil
		}
		select {
		case <-p.Done():
			err := fmt.Errorf("%s %w: %w\n%s", name, ErrEnded, orClean(p.Err()), p.Tail())
			if strings.Contains(strings.ToLower(p.Tail()), "address already in use") {
				err = errors.Join(ErrPortTaken, err)
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer: %w\n%s", name, ctx.Err(), p.Tail())
		case <-tick.C:
		}
	}
}

var errClean = errors.New("exit status 0")

func orClean(err error) error {
	if err == nil {
		return errClean
	}
	return err
}
