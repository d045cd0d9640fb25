package mutations

// loadtestBugs are of the load tests: what would let a load that went wrong pass.
var loadtestBugs = []mutation{
	{
		bug: "count a missed bound of times as kept",
		edits: []edit{{"deploy/loadtest/k6.go",
			"if !kept.OK {",
			"if !kept.OK && m.Type != \"trend\" {"}},
		pkg: "deploy/loadtest", test: "TestParseSummary",
	},
	{
		bug: "balance the books while money is held",
		edits: []edit{{"deploy/loadtest/books.go",
			"r.Checked.Untold + r.Checked.Holds",
			"r.Checked.Untold"}},
		pkg: "deploy/loadtest", test: "TestReconciled",
	},
	{
		bug: "keep a row that was measured anew",
		edits: []edit{{"deploy/loadtest/results.go",
			"row := rowOf(newer, name)",
			"row := rowOf(older, name)"}},
		pkg: "deploy/loadtest", test: "TestWrite",
	},
	{
		bug: "let Telegram keep updates that were never acknowledged",
		edits: []edit{{"deploy/loadtest/events.go",
			"if n := r.Unacknowledged + r.GivenUp + r.OutOfOrder",
			"if n := r.GivenUp + r.OutOfOrder"}},
		pkg: "deploy/loadtest", test: "TestEventsOutcome",
	},
	{
		bug: "keep a bound on what never happened",
		edits: []edit{{"deploy/loadtest/short/metrics.mjs",
			"passes / values.length : NaN",
			"passes / values.length : 1"}},
		pkg: "deploy/loadtest", test: "TestShort",
	},
	{
		bug: "pay for a call at an address that is not there",
		edits: []edit{{"deploy/loadtest/k6/lib/calls.js",
			"`${base}/api/v1/proxy/llm`",
			"`${base}/api/v1/proxy/model`"}},
		pkg: "cmd/kikuai", test: "TestE2ELoadScripts",
	},
}
