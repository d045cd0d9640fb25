package mutations

// doctorBugs are of what is checked before and while the program runs: settings, stores,
// the deployment.
var doctorBugs = []mutation{
	{
		bug:   "let production run on a default because a name was misspelt",
		edits: []edit{{"internal/config/typos.go", "if s.slip && c.production() &&", "if s.slip && !c.production() &&"}},
		pkg:   "internal/config", test: "TestSlips",
	},
	{
		bug:   "refuse what platforms set beside our own",
		edits: []edit{{"internal/config/typos.go", "c.production() && value == \"\" && file == \"\"", "c.production() && value != \"x\" && file != \"x\""}},
		pkg:   "internal/config", test: "TestSlipsAreNoted",
	},
	{
		bug:   "take a policy that evicts keys with a life for harmless",
		edits: []edit{{"internal/redisinfo/redisinfo.go", "return s.Policy != \"\" && s.Policy != NoEviction", "return s.Policy == \"allkeys-lru\""}},
		pkg:   "internal/doctor", test: "TestRedis",
	},
	{
		bug:   "run on a Redis that may evict balances",
		edits: []edit{{"cmd/kikuai/eviction.go", "if first && len(evicting) > 0 {", "if first && len(evicting) > len(servers) {"}},
		pkg:   "cmd/kikuai", test: "TestEvictionGuard",
	},
	{
		bug:   "stop every server when a policy is changed under it",
		edits: []edit{{"cmd/kikuai/eviction.go", "if first && len(evicting) > 0 {", "if len(evicting) > 0 {"}},
		pkg:   "cmd/kikuai", test: "TestEvictionGuard",
	},
	{
		bug: "take a database that only reads for one that writes",
		edits: []edit{{"internal/postgres/role.go",
			"select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'", "select not pg_is_in_recovery()"}},
		pkg: "internal/doctor", test: "TestPostgres",
	},
	{
		bug:   "give an update up because the database only reads",
		edits: []edit{{"handlers/away.go", "return answer.Code == onlyReads", "return false"}},
		pkg:   "handlers", test: "TestAway",
	},
	{
		bug:   "tell anybody where a call counts as coming from",
		edits: []edit{{"gateway/health.go", "s.account.Seals.Sealed(PurposeDoctor, moment, seal)", "seal != \"\""}},
		pkg:   "gateway", test: "TestDoctorIsToldTheAddress",
	},
	{
		bug:   "answer the doctor's question for ever",
		edits: []edit{{"gateway/health.go", "err == nil && s.now().Sub(time.Unix(at, 0)).Abs() <= doctorIn &&", "err == nil && at != 0 &&"}},
		pkg:   "gateway", test: "TestDoctorIsToldTheAddress",
	},
	{
		bug:   "print what findings hold of secrets",
		edits: []edit{{"internal/doctor/doctor.go", "strings.Fields(telemetry.Redact(text))", "strings.Fields(telemetry.Redact(\"\") + text)"}},
		pkg:   "internal/doctor", test: "TestExamine",
	},
	{
		bug:   "find nothing in an address that its client chose",
		edits: []edit{{"internal/doctor/web.go", "if answer.Address == pretended {", "if answer.Address == \"\" {"}},
		pkg:   "internal/doctor", test: "TestWebFindings",
	},
	{
		bug:   "hold a certificate to the day it ends",
		edits: []edit{{"internal/doctor/webtls.go", "case left < certificateLeast:", "case left < 0:"}},
		pkg:   "internal/doctor", test: "TestWebFindings",
	},
	{
		bug:   "be content with a half of the updates",
		edits: []edit{{"internal/doctor/telegram.go", "if !slices.Contains(there, kind) {", "if !slices.Contains(wanted, kind) {"}},
		pkg:   "internal/doctor", test: "TestTelegram",
	},
	{
		bug:   "take the newest backup's name for its content",
		edits: []edit{{"internal/doctor/host.go", "case bytes == 0:", "case bytes < 0:"}},
		pkg:   "internal/doctor", test: "TestBackups",
	},
}
