package mutations

// scaleBugs are of many servers: replicas, releases side by side, servers that are replaced.
var scaleBugs = []mutation{
	{
		bug: "go on reading from a replica that is behind",
		edits: []edit{{"internal/postgres/lag.go",
			"\tcase !known || lag > g.most:\n",
			"\tcase !known:\n"}},
		pkg: "internal/postgres", test: "TestReads",
	},
	{
		bug: "turn back to a replica after its first calm look",
		edits: []edit{{"internal/postgres/lag.go",
			"g.calm++; g.calm >= calmLooks",
			"g.calm++; g.calm >= 1"}},
		pkg: "internal/postgres", test: "TestGuard",
	},
	{
		bug: "count an idle primary's time as the replica's lag",
		edits: []edit{{"internal/postgres/lag.go",
			"for len(*t) > 1 && (*t)[1].end <= end {",
			"for len(*t) > 1 && (*t)[1].end < end {"}},
		pkg: "internal/postgres", test: "TestReads",
	},
	{
		bug: "read from a replica that was promoted",
		edits: []edit{{"internal/postgres/lag.go",
			"\tcase !replica.follows:\n",
			"\tcase !replica.follows && replica.end == 0:\n"}},
		pkg: "internal/postgres", test: "TestReads",
	},
	{
		bug: "tell what failed at the replica instead of asking the primary",
		edits: []edit{{"internal/postgres/reads.go",
			"\t\tif ctx.Err() != nil {\n\t\t\treturn err\n",
			"\t\tif err != nil {\n\t\t\treturn err\n"}},
		pkg: "internal/postgres", test: "TestReads",
	},
	{
		bug: "leave out of the list a payment that the replica has not heard of",
		edits: []edit{{"billing/readings.go",
			"credit_seq >= $2 and ledger_seq",
			"credit_seq >= $2 - 1000 and ledger_seq"}},
		pkg: "cmd/kikuai", test: "TestE2EReplica",
	},
	{
		bug: "reset those who wait to be accepted when the listener closes",
		edits: []edit{{"gateway/door.go",
			"waiting(d.Listener) > 0 && ",
			"waiting(d.Listener) > 1000 && "}},
		pkg: "gateway", test: "TestDoor",
	},
	{
		bug: "close the listener as soon as the server is told to stop",
		edits: []edit{{"gateway/server.go",
			"\ts.giveNotice(ctx)\n",
			""}},
		pkg: "gateway", test: "TestNotice",
	},
	{
		bug: "look at a cluster's layout once a minute",
		edits: []edit{{"cmd/kikuai/redis.go",
			"clusterLook = time.Second",
			"clusterLook = time.Minute"}},
		pkg: "cmd/kikuai", test: "TestE2EFailover",
	},
	{
		bug: "run what follows an older release's migrations on a later one's schema",
		edits: []edit{{"internal/postgres/migrations.go",
			"if err != nil || ahead > 0 {",
			"if err != nil || ahead < 0 {"}},
		pkg: "cmd/kikuai", test: "TestE2EReleases",
	},
}
