package doctor

import (
	"context"
	"errors"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		found, lost int64
		err         error
		want        []string
	}{
		{0, 0, nil, []string{"ok: there are 0"}},
		{3, 0, nil, []string{"ok: there are 3"}},
		{3, 2, nil, []string{"fault: which get 401: 2 of 5"}},
		{0, 2, nil, []string{"fault: No usable API key was made under this KEY_PEPPER, and under others 2"}},
		{0, 0, errors.New("away"), nil},
	} {
		keys := Keys{Count: func(context.Context) (found, lost int64, err error) { return c.found, c.lost, c.err }}
		expect(t, keys.Checks(), "keys", c.want...)
	}
}
