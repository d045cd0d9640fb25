package grafana

// overview is the page to begin with: five questions, and what to worry about in red.
func overview() Dashboard {
	return dashboard("kikuai-overview", "KikuAI: how is it?",
		"Are users served? Is money right? Is Telegram well? Do providers answer? Is a machine full? Red is an alert, whose page in deploy/runbook says what to do.",
		served(), money(), telegram(), providers(), full())
}

func served() row {
	return row{"Are users served?", []part{
		stat(4, "Requests", "Answered a second, but for probes.", unitPerSec, `sum(job:http_requests:rate5m)`, 0, 0),
		stat(4, "Errors", "Share of answers from 500 on, ours and failing providers', in five minutes.", unitShare, `max(job:http_errors:ratio5m)`, .005, .01),
		stat(4, "p99 without models", "One request in a hundred takes longer; calls to models are not counted.", unitSeconds,
			`max(job:http_request_duration_seconds:p99_5m)`, .5, 1),
		stat(4, "Calls to models under way", "", unitNumber, `sum(gateway_calls_in_flight{job="kikuai"})`, 0, 0),
		stat(4, "Instances", "That Prometheus reaches.", unitNumber, `sum(up{job="kikuai"})`, 0, 0),
		stat(4, "Alerts that wake", "Firing now.", unitNumber, `count(ALERTS{alertstate="firing",severity="page"}) or vector(0)`, 1, 1),
		stacked(lines(12, "Requests by status", "", unitPerSec, 0,
			line{`sum by (status) (rate(http_requests_total{job="kikuai",instance=~"$instance",endpoint!~"/health|/readyz"}[$__rate_interval]))`, "{{status}}"})),
		lines(12, "How long requests without models take", "", unitSeconds, 1,
			line{`max(job:http_request_duration_seconds:p50_5m)`, "p50"},
			line{`max(job:http_request_duration_seconds:p95_5m)`, "p95"},
			line{`max(job:http_request_duration_seconds:p99_5m)`, "p99"}),
	}}
}

func money() row {
	return row{"Is money right?", []part{
		stat(4, "Drift", "What Redis and the ledger differ by, in nano-dollars. Anything but 0 is an alert.", unitNumber,
			`sum(ledger_drift_nano_usd{job="kikuai"})`, 1, 1),
		stat(4, "Ledger behind", "Age of the oldest event that Postgres has not applied.", unitSeconds, `max(ledger_drain_lag_seconds{job="kikuai"})`, 30, 60),
		stat(4, "Written off today", "Cost of calls beyond what was held for them.", unitDollars,
			`sum(increase(ledger_write_off_nano_usd_total{job="kikuai"}[1d])) / 1e9`, .5, 1),
		stat(4, "Paid in today", "What payments added to accounts.", unitDollars, `sum(increase(payments_nano_usd_total{job="kikuai"}[1d])) / 1e9`, 0, 0),
		stat(4, "Spent today", "What calls cost their accounts.", unitDollars, `sum(increase(llm_cost_nano_usd_total{job="kikuai"}[1d])) / 1e9`, 0, 0),
		stat(4, "Months made ahead", "That the ledger has partitions for.", unitNumber, `min(ledger_partitions_ahead_months{job="kikuai"})`, 0, 0),
		lines(12, "Spent and paid in, an hour", "", unitDollars, 0,
			line{`sum(rate(llm_cost_nano_usd_total{job="kikuai",instance=~"$instance"}[$__rate_interval])) * 3600 / 1e9`, "spent"},
			line{`sum by (provider) (rate(payments_nano_usd_total{job="kikuai",instance=~"$instance"}[$__rate_interval])) * 3600 / 1e9`, "paid in by {{provider}}"}),
		lines(12, "Events that wait for Postgres", "Of all shards; at LEDGER_MAX_BACKLOG in one of them paid calls stop there.", unitNumber, 0,
			line{`sum(max by (shard) (ledger_backlog_events{job="kikuai"}))`, "waiting"},
			line{`sum(rate(ledger_drained_events_total{job="kikuai"}[$__rate_interval]))`, "applied a second"}),
	}}
}

func telegram() row {
	return row{"Is Telegram well?", []part{
		tall(stat(4, "Oldest update", "That is not handled yet; a long answer takes two minutes.", unitSeconds, `max(telegram_inbox_lag{job="kikuai"})`, 120, 180)),
		tall(stat(4, "Dead letters", "Updates that were given up.", unitNumber, `max(telegram_dead_letters{job="kikuai"})`, 1, 1)),
		tall(stat(4, "429 a second", "Calls that Telegram refused because there were too many.", unitPerSec,
			`sum(job:telegram_calls:rate5m{outcome="flood"}) or vector(0)`, .1, .5)),
		stacked(lines(6, "Updates", "", unitPerSec, 0,
			line{`sum by (outcome) (rate(telegram_updates_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{outcome}}"})),
		stacked(lines(6, "Calls to Telegram", "", unitPerSec, 0,
			line{`sum by (outcome) (rate(telegram_calls_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{outcome}}"})),
	}}
}

func providers() row {
	return row{"Do providers answer?", []part{
		lines(8, "Attempts that failed", "Calls of deployments by how they ended, but for those that ended well.", unitPerSec, 0,
			line{`sum by (deployment, outcome) (rate(llm_attempts_total{job="kikuai",instance=~"$instance",outcome!~"ok|canceled|refused"}[$__rate_interval])) > 0`, "{{deployment}} {{outcome}}"}),
		lines(8, "How long providers take", "Until the last byte, or the first of a stream.", unitSeconds, 0,
			line{`histogram_quantile(0.5, sum by (le) (rate(llm_upstream_duration_seconds_bucket{job="kikuai",instance=~"$instance",outcome="ok"}[$__rate_interval])))`, "p50"},
			line{`histogram_quantile(0.95, sum by (le) (rate(llm_upstream_duration_seconds_bucket{job="kikuai",instance=~"$instance",outcome="ok"}[$__rate_interval])))`, "p95"}),
		upTo(2, lines(8, "Circuit breakers that are not closed", "1: half-open, on trial. 2: open.", unitNumber, 0,
			line{`max by (deployment) (circuit_breaker_state{job="kikuai",instance=~"$instance"}) > 0`, "{{deployment}}"})),
		stacked(lines(12, "Tokens", "cached is part of prompt, reasoning of completion.", unitNumber, 0,
			line{`sum by (kind) (rate(llm_tokens_total{job="kikuai",instance=~"$instance",kind=~"prompt|completion"}[$__rate_interval]))`, "{{kind}} a second"})),
		lines(12, "What models cost, an hour", "The ten dearest.", unitDollars, 0,
			line{`topk(10, sum by (model) (rate(llm_cost_nano_usd_total{job="kikuai",instance=~"$instance"}[$__rate_interval])) > 0) * 3600 / 1e9`, "{{model}}"}),
	}}
}

func full() row {
	return row{"Is a machine full?", []part{
		upTo(1, lines(8, "Processor", "Of what each instance may use.", unitShare, .9,
			line{`rate(process_cpu_seconds_total{job="kikuai",instance=~"$instance"}[$__rate_interval]) / go_sched_gomaxprocs_threads{job="kikuai",instance=~"$instance"}`, "{{instance}}"})),
		lines(8, "Memory", "", unitBytes, 800<<20,
			line{`process_resident_memory_bytes{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
		lines(8, "Redis: one command in twenty takes longer", "", unitSeconds, .01,
			line{`max(job:redis_command_duration_seconds:p95_1m)`, "p95"}),
		lines(8, "Redis: memory", "", unitBytes, 0,
			line{`max by (node) (redis_node_memory_bytes{job="kikuai",of="used"})`, "{{node}} used"},
			line{`max by (node) (redis_node_memory_bytes{job="kikuai",of="most"}) > 0`, "{{node}} at most"}),
		upTo(1, lines(8, "Cache: answered without its source", "", unitShare, 0,
			line{`max(job:cache_hits:ratio5m)`, "share"})),
		lines(8, "Postgres: connections", "", unitNumber, 0,
			line{`sum by (type) (db_pool_connections{job="kikuai",instance=~"$instance",type=~"used|max"})`, "{{type}}"}),
	}}
}
