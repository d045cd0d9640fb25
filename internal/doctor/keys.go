package doctor

import "context"

// Keys are the API keys there are. Count counts those that can be used if their pepper is
// configured: where it is, and where it is not.
type Keys struct {
	Count func(ctx context.Context) (found, lost int64, err error)
}

// Checks of the keys.
func (k Keys) Checks() []Check { return []Check{{"keys.pepper", k.pepper}} }

// pepper is whether KEY_PEPPER has what keys were made under: one whose pepper it lacks is
// refused as if it were wrong.
func (k Keys) pepper(ctx context.Context) []Finding {
	found, lost, err := k.Count(ctx)
	switch {
	case err != nil:
		return nil // which postgres.answers or postgres.schema tells
	case lost > 0 && found == 0:
		return []Finding{fault("set the KEY_PEPPER that was there before; where it is lost, have owners make new keys and revoke the old ones",
			"No usable API key was made under this KEY_PEPPER, and under others %d: callers get 401.", lost)}
	case lost > 0:
		return []Finding{fault("add the pepper they were made under behind the others in KEY_PEPPER; where it is lost, have owners make new keys and revoke the old ones",
			"KEY_PEPPER lacks what usable API keys were made under, which get 401: %d of %d.", lost, lost+found)}
	}
	return []Finding{well("KEY_PEPPER has what each usable API key was made under; there are %d.", found)}
}
