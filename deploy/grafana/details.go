package grafana

// calls is where to look when some users are served badly: which route, model, limit.
func calls() Dashboard {
	return dashboard("kikuai-calls", "KikuAI: calls",
		"Which route, which model, which provider, which limit?",
		row{"Which route?", []part{
			stacked(lines(12, "Requests", "", unitPerSec, 0,
				line{`topk(12, sum by (endpoint) (rate(http_requests_total{job="kikuai",instance=~"$instance",endpoint!~"/health|/readyz"}[$__rate_interval])))`, "{{endpoint}}"})),
			lines(12, "Errors", "Answers from 500 on, ours and failing providers'.", unitPerSec, 0,
				line{`sum by (endpoint, status) (rate(http_requests_total{job="kikuai",instance=~"$instance",status=~"5.."}[$__rate_interval])) > 0`, "{{endpoint}} {{status}}"}),
			lines(12, "One request in twenty takes longer", "A streamed answer counts until its headers.", unitSeconds, 0,
				line{`histogram_quantile(0.95, sum by (endpoint, le) (rate(http_request_duration_seconds_bucket{job="kikuai",instance=~"$instance",endpoint!~"/health|/readyz"}[$__rate_interval]))) > 0`, "{{endpoint}}"}),
			lines(12, "Refused", "Bad keys, no money, not allowed, too much, limits.", unitPerSec, 0,
				line{`sum by (status) (rate(http_requests_total{job="kikuai",instance=~"$instance",status=~"401|402|403|413|429"}[$__rate_interval]))`, "{{status}}"}),
		}},
		row{"Which model, which provider?", []part{
			lines(12, "Attempts", "", unitPerSec, 0,
				line{`sum by (deployment) (rate(llm_attempts_total{job="kikuai",instance=~"$instance"}[$__rate_interval])) > 0`, "{{deployment}}"}),
			lines(12, "One answer in twenty takes longer", "Until the last byte, or the first of a stream.", unitSeconds, 0,
				line{`histogram_quantile(0.95, sum by (provider, model, le) (rate(llm_upstream_duration_seconds_bucket{job="kikuai",instance=~"$instance",outcome="ok"}[$__rate_interval]))) > 0`, "{{provider}} {{model}}"}),
			lines(8, "Calls at a time", "Used, and how many a deployment is seen to bear.", unitNumber, 0,
				line{`sum by (deployment) (llm_deployment_concurrency{job="kikuai",instance=~"$instance",of="used"}) > 0`, "{{deployment}}"}),
			lines(8, "Usage that could not be believed", "", unitPerSec, 0,
				line{`sum by (provider, fault) (rate(llm_usage_faults_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{provider}} {{fault}}"}),
			lines(8, "Retries that were not made", "The budget of a fifth of the requests was used up.", unitPerSec, 0,
				line{`sum(rate(llm_retry_budget_exhausted_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "not made"}),
		}},
		row{"Which limit?", []part{
			lines(12, "Denied", "", unitPerSec, 0,
				line{`sum by (limit, result) (rate(ratelimit_decisions_total{job="kikuai",instance=~"$instance",result=~"denied|remembered|local_denied"}[$__rate_interval]))`, "{{limit}} {{result}}"}),
			lines(12, "Kept answers", "Of requests that asked for one.", unitPerSec, 0,
				line{`sum by (result) (rate(gateway_answers_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{result}}"}),
		}},
		row{"Who listens?", []part{
			lines(12, "Live sockets", "", unitNumber, 0,
				line{`sum(websocket_connections{job="kikuai",instance=~"$instance"})`, "open"}),
			lines(12, "Messages on them", "", unitPerSec, 0,
				line{`sum by (direction) (rate(websocket_messages_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{direction}}"}),
		}},
	)
}

// machines is where to look when a store or an instance is slow.
func machines() Dashboard {
	return dashboard("kikuai-machines", "KikuAI: stores and instances",
		"Which store, which instance?",
		row{"Is Redis quick?", []part{
			lines(12, "One command in twenty takes longer", "As the program waits for it; pipeline is many at once, reads that wait are left out.", unitSeconds, .01,
				line{`histogram_quantile(0.95, sum by (command, le) (rate(redis_command_duration_seconds_bucket{job="kikuai",instance=~"$instance",command!~"xread|xreadgroup|.*subscribe"}[$__rate_interval]))) > 0`, "{{command}}"}),
			lines(12, "Connections", "", unitNumber, 0,
				line{`sum by (type) (redis_pool_connections{job="kikuai",instance=~"$instance",type=~"used|idle"})`, "{{type}}"},
				line{`sum(rate(redis_pool_timeouts_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "waited in vain, a second"}),
		}},
		row{"Is Postgres quick?", []part{
			lines(12, "One statement in twenty takes longer", "", unitSeconds, 0,
				line{`histogram_quantile(0.95, sum by (operation, le) (rate(db_query_duration_seconds_bucket{job="kikuai",instance=~"$instance"}[$__rate_interval]))) > 0`, "{{operation}}"}),
			lines(12, "Waiting for a connection", "Seconds a second, of all who wait.", unitSeconds, 0,
				line{`sum by (instance) (rate(db_pool_wait_seconds_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"}),
		}},
		row{"Is Postgres safe?", []part{
			tall(stat(6, "Newest backup", "How long ago it was finished; 56 years: none was ever noted.", unitSeconds,
				`time() - max(db_backup_timestamp_seconds{job="kikuai"})`, 26*3600, 30*3600)),
			lines(9, "Replica behind", "Where there is one. No line: it is away.", unitSeconds, 30,
				line{`db_replica_lag_seconds{job="kikuai",instance=~"$instance"} < Inf`, "{{instance}}"}),
			stacked(lines(9, "Reads that may be a little old", "By the server that answered: with a replica that is near, it does.", unitPerSec, 0,
				line{`sum by (server) (rate(db_reads_total{job="kikuai",instance=~"$instance"}[$__rate_interval]))`, "{{server}}"})),
		}},
		row{"Does the cache help?", []part{
			stacked(lines(8, "Reads, by what answered", "l1 is memory, l2 Redis, source what is cached.", unitPerSec, 0,
				line{`sum by (level) (rate(cache_hits_total{job="kikuai",instance=~"$instance",result=~"hit|stale|negative"}[$__rate_interval]))`, "{{level}}"})),
			lines(8, "Entries in memory", "", unitNumber, 0, line{`cache_entries{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
			lines(8, "Their size", "", unitBytes, 0, line{`cache_bytes{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
		}},
		row{"Is an instance well?", []part{
			lines(8, "Goroutines", "", unitNumber, 0, line{`go_goroutines{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
			lines(8, "Files and sockets", "Of those that it may open.", unitShare, .8,
				line{`process_open_fds{job="kikuai",instance=~"$instance"} / process_max_fds{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
			lines(8, "Heap", "", unitBytes, 0, line{`go_memstats_heap_inuse_bytes{job="kikuai",instance=~"$instance"}`, "{{instance}}"}),
			lines(12, "Scheduled jobs that failed", "", unitPerSec, 0,
				line{`sum by (name) (rate(house_job_runs_total{job="kikuai",instance=~"$instance",outcome="failed"}[$__rate_interval]))`, "{{name}}"}),
			lines(12, "Holds that wait for Redis", "", unitNumber, 0,
				line{`sum by (instance) (gateway_holds_pending{job="kikuai",instance=~"$instance"})`, "{{instance}}"}),
		}},
	)
}
