package billing

import "context"

// Peppered are the usable keys, by the pepper they were made under.
type Peppered struct {
	Found int64 // whose pepper is configured
	Lost  int64 // whose pepper is not: nobody can use them
}

// Peppered counts the usable keys of all accounts. It reads the whole table.
func (k *Keys) Peppered(ctx context.Context) (p Peppered, err error) {
	versions := make([]string, len(k.peppers))
	for i, pepper := range k.peppers {
		versions[i] = pepper.version
	}
	err = k.postgres.QueryRow(ctx, `
		select count(*) filter (where pepper_version = any($1)), count(*) filter (where pepper_version <> all($1))
		from api_keys where revoked_at is null and (expires_at is null or expires_at > now())`, versions).Scan(&p.Found, &p.Lost)
	return p, databaseError("count API keys", err)
}
