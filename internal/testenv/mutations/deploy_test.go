package mutations

// deployBugs are of what an operator works with: backups, restores, looks at a server.
var deployBugs = []mutation{
	{
		bug: "leave shards open that Postgres was restored under",
		edits: []edit{{"billing/shards.go",
			"s.redis.Del(ctx, epochKey(shard))",
			"s.redis.Exists(ctx, epochKey(shard))"}},
		pkg: "billing", test: "TestShardsClosed",
	},
	{
		bug: "keep a shard closed for an event of an account that is gone",
		edits: []edit{{"billing/rebuild.go",
			"return !slices.Contains(known, e.account) })",
			"return len(known) < 0 })"}},
		pkg: "billing", test: "TestShardsClosed",
	},
	{
		bug: "restore without the last segment of the log",
		edits: []edit{{"deploy/postgres/restore.sh",
			"cp \\\"%s/wal/%%f.partial\\\"",
			"cp \\\"%s/wal/%%f.partial.gz\\\""}},
		pkg: "cmd/kikuai", test: "TestE2ERestore",
	},
	{
		bug: "let servers write into the ledger's past",
		edits: []edit{{"deploy/postgres/roles.sql",
			"grant kikuai_app to kikuai_server;",
			"grant kikuai_owner to kikuai_server;"}},
		pkg: "cmd/kikuai", test: "TestE2ERestore",
	},
	{
		bug: "let the log that nobody receives fill the disk",
		edits: []edit{{"deploy/postgres/create.sh",
			"max_slot_wal_keep_size = '8GB'",
			"max_slot_wal_keep_size = '-1'"}},
		pkg: "cmd/kikuai", test: "TestE2ERestore",
	},
	{
		bug: "call a server well that answers 503",
		edits: []edit{{"cmd/kikuai/healthcheck.go",
			"\tif response.StatusCode != http.StatusOK {\n",
			"\tif response.StatusCode >= http.StatusInternalServerError+100 {\n"}},
		pkg: "cmd/kikuai", test: "TestHealthCommand",
	},
}
