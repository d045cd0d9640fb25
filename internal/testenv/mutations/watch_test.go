package mutations

// watchBugs are of what operators look at: metrics, rules, dashboards, /performance.
var watchBugs = []mutation{
	{
		bug:   "a scrape waits for a client that looks for its servers",
		edits: []edit{{"internal/telemetry/prompt.go", "case <-patience.C:", "case <-time.After(time.Hour):"}},
		pkg:   "internal/telemetry", test: "TestScrapeWaitsForNobody",
	},
	{
		bug:   "ask anew while an answer is late",
		edits: []edit{{"internal/telemetry/prompt.go", "if p.running == nil {", "if p.running == nil || promptIn > 0 {"}},
		pkg:   "internal/telemetry", test: "TestPromptly",
	},
	{
		bug:   "operators wait for Postgres",
		edits: []edit{{"cmd/kikuai/listener.go", "a.registry, a.health(probes), a.log)", "a.registry, a.health(map[string]probe{checkPostgres: postgresProbe(a.postgres, a.log)}), a.log)"}},
		pkg:   "cmd/kikuai", test: "TestE2EScraped",
	},
	{
		bug:   "show what is away as there",
		edits: []edit{{"cmd/kikuai/watch.go", "answers = 0\n", "answers = 1\n"}},
		pkg:   "cmd/kikuai", test: "TestE2EScraped",
	},
	{
		bug:   "call a program well whose stores are away",
		edits: []edit{{"cmd/kikuai/health.go", "state[name], status = err.Error(), \"degraded\"", "state[name] = err.Error()"}},
		pkg:   "cmd/kikuai", test: "TestE2EScraped",
	},
	{
		bug:   "take a look that never ends for a good one",
		edits: []edit{{"cmd/kikuai/watch.go", "age > readingLife", "age > 100*readingLife"}},
		pkg:   "cmd/kikuai", test: "TestWatch",
	},
	{
		bug:   "show operators an address with its password",
		edits: []edit{{"internal/telemetry/ops.go", "report[section] = redactAny(value, false).Any()", "report[section] = value"}},
		pkg:   "internal/telemetry", test: "TestOpsPages",
	},
	{
		bug:   "tell operators the slowest for the median",
		edits: []edit{{"internal/telemetry/summary.go", "rank := q * float64(h.GetSampleCount())", "rank := max(q, 1) * float64(h.GetSampleCount())"}},
		pkg:   "internal/telemetry", test: "TestOpsPages",
	},
	{
		bug:   "wake somebody for the restart of a replica",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "(db_replica_lag_seconds{job=\"kikuai\"}) > 30\n        for: 5m", "(db_replica_lag_seconds{job=\"kikuai\"}) > 30\n        for: 1m"}},
		pkg:   "deploy/prometheus", test: "TestPromtool",
	},
	{
		bug:   "keep quiet about a backup that is a week old",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "> 30 * 3600", "> 300 * 3600"}},
		pkg:   "deploy/prometheus", test: "TestPromtool",
	},
	{
		bug:   "go by the instance that has not seen the newest backup",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "time() - max by (job) (db_backup", "time() - min by (job) (db_backup"}},
		pkg:   "deploy/prometheus", test: "TestPromtool",
	},
	{
		bug:   "keep quiet while Redis and the ledger differ by less than a dollar",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "sum by (job) (ledger_drift_nano_usd{job=\"kikuai\"}) != 0", "sum by (job) (ledger_drift_nano_usd{job=\"kikuai\"}) > 1e9"}},
		pkg:   "deploy/prometheus", test: "TestPromtool",
	},
	{
		bug:   "an alert asks for a metric that nobody shows",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "max by (job) (public_url_up", "max by (job) (public_address_up"}},
		pkg:   "deploy/prometheus", test: "TestNames",
	},
	{
		bug:   "an alert without a page",
		edits: []edit{{"deploy/prometheus/rules/alerts.yml", "runbook/BackupOld.md", "runbook/Backups.md"}},
		pkg:   "deploy/prometheus", test: "TestAlerts",
	},
	{
		bug:   "a row of panels lies on the one before",
		edits: []edit{{"deploy/grafana/panels.go", "\t\ty += high\n", "\t\ty += high - 1\n"}},
		pkg:   "deploy/grafana", test: "TestPlaces",
	},
	{
		bug:   "a panel asks for a metric that nobody shows",
		edits: []edit{{"deploy/grafana/details.go", "cache_entries{job", "cache_entry{job"}},
		pkg:   "deploy/grafana", test: "TestExpressions",
	},
	{
		bug:   "a panel has a unit that Grafana's files do not",
		edits: []edit{{"deploy/grafana/panels.go", "unitDollars = \"currencyUSD\"", "unitDollars = \"dollars\""}},
		pkg:   "deploy/grafana", test: "TestFiles",
	},
	{
		bug:   "make a backup and tell nobody",
		edits: []edit{{"deploy/postgres/backup.sh", "select note_backup($size)", "select $size"}},
		pkg:   "cmd/kikuai", test: "TestE2ERestore",
	},
}
