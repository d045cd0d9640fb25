package mutations

// nginxBugs are of the front's configuration.
var nginxBugs = []mutation{
	{
		bug:   "servers believe what a client says of its address",
		edits: []edit{{"nginx/templates/kikuai/proxy.conf.template", "proxy_set_header X-Real-IP $remote_addr;", "proxy_set_header X-Real-IP $http_x_real_ip;"}},
		pkg:   "nginx", test: "TestRealIP",
	},
	{
		bug:   "streams are gathered before they are sent",
		edits: []edit{{"nginx/templates/kikuai/call.conf.template", "proxy_buffering off;", "proxy_buffering on;"}},
		pkg:   "nginx", test: "TestStreams",
	},
	{
		bug:   "streams are compressed",
		edits: []edit{{"nginx/templates/kikuai/call.conf.template", "gzip off;", "gzip on; gzip_types text/event-stream; gzip_min_length 1; gzip_proxied any;"}},
		pkg:   "nginx", test: "TestStreams",
	},
	{
		bug:   "updates from everywhere",
		edits: []edit{{"nginx/templates/kikuai/site.conf.template", "        deny all;\n", ""}},
		pkg:   "nginx", test: "TestWebhook",
	},
	{
		bug:   "a call that a server took is given to another",
		edits: []edit{{"nginx/templates/kikuai/proxy.conf.template", "proxy_next_upstream error timeout;", "proxy_next_upstream error timeout non_idempotent;"}},
		pkg:   "nginx", test: "TestNoSecondPost",
	},
	{
		bug:   "a server that is away costs answers",
		edits: []edit{{"nginx/templates/kikuai/proxy.conf.template", "proxy_next_upstream error timeout;", "proxy_next_upstream off;"}},
		pkg:   "nginx", test: "TestDeadServer",
	},
	{
		bug:   "what is not named goes to a server",
		edits: []edit{{"nginx/templates/kikuai/site.conf.template", "    location / {\n        return 404;", "    location / {\n        proxy_pass http://kikuai;"}},
		pkg:   "nginx", test: "TestPrivate",
	},
	{
		bug:   "queries are logged",
		edits: []edit{{"nginx/templates/kikuai/log.conf.template", `"path":"$front_told_path"`, `"path":"$request_uri"`}},
		pkg:   "nginx", test: "TestLog",
	},
	{
		bug:   "secrets in paths are logged",
		edits: []edit{{"nginx/templates/kikuai/log.conf.template", `"path":"$front_told_path"`, `"path":"$uri"`}},
		pkg:   "nginx", test: "TestLog",
	},
	{
		bug:   "errors are logged with their requests",
		edits: []edit{{"nginx/templates/nginx.conf.template", "${FRONT_ERROR_LOG} crit;", "${FRONT_ERROR_LOG} error;"}},
		pkg:   "nginx", test: "TestLog",
	},
	{
		bug:   "a location with a header of its own",
		edits: []edit{{"nginx/templates/kikuai/call.conf.template", "gzip off;", "gzip off; add_header X-Call yes;"}},
		pkg:   "nginx", test: "TestHeaders",
	},
	{
		bug:   "errors of the front may be kept",
		edits: []edit{{"nginx/templates/kikuai/answer.conf.template", "    \"~^here [45]\" no-store;\n", ""}},
		pkg:   "nginx", test: "TestProblems",
	},
	{
		bug:   "the front's errors do not say when to come back",
		edits: []edit{{"nginx/templates/kikuai/problem.conf.template", "    \"here 503\" 1;\n", ""}},
		pkg:   "nginx", test: "TestAway",
	},
	{
		bug:   "servers that are away are a provider's 502",
		edits: []edit{{"nginx/templates/kikuai/errors.conf.template", "error_page 502 =503 @problem;", "error_page 502 @problem;"}},
		pkg:   "nginx", test: "TestAway",
	},
	{
		bug:   "no limit of requests",
		edits: []edit{{"nginx/templates/kikuai/site.conf.template", "    limit_req zone=front_requests burst=${FRONT_BURST} nodelay;\n", ""}},
		pkg:   "nginx", test: "TestRequestLimit",
	},
	{
		bug:   "no limit of connections",
		edits: []edit{{"nginx/templates/kikuai/site.conf.template", "    limit_conn front_connections ${FRONT_CONNECTIONS};\n", ""}},
		pkg:   "nginx", test: "TestConnectionLimit",
	},
	{
		bug:   "each address of a network is a client",
		edits: []edit{{"nginx/templates/kikuai/request.conf.template", `    "~^(?<front_network>(?:[0-9a-f]{1,4}:){4})" $front_network;` + "\n", ""}},
		pkg:   "nginx", test: "TestRequestLimitOfNetworks",
	},
	{
		bug:   "any connection may become another",
		edits: []edit{{"nginx/templates/kikuai/request.conf.template", `"~*^/api/v1/live websocket$" websocket;`, `"~* websocket$" websocket;`}},
		pkg:   "nginx", test: "TestLive",
	},
	{
		bug:   "a weight of zero is an acceptance",
		edits: []edit{{"nginx/templates/kikuai/answer.conf.template", `br\s*(?:$|,|;(?!\s*q=[0.]*\s*(?:,|$)))" .br;`, `br\s*(?:$|,|;)" .br;`}},
		pkg:   "nginx", test: "TestServing",
	},
	{
		bug:   "pages of two builds are one",
		edits: []edit{{"nginx/templates/kikuai/site.conf.template", "            etag off;\n            if_modified_since off;\n", ""}},
		pkg:   "nginx", test: "TestServing",
	},
	{
		bug:   "a wrong policy of the Mini App",
		edits: []edit{{"nginx/templates/kikuai/answer.conf.template", "script-src 'self';", "script-src 'self' 'unsafe-inline';"}},
		pkg:   "nginx", test: "TestServing",
	},
	{
		bug:   "any method",
		edits: []edit{{"nginx/templates/kikuai/request.conf.template", "    default method;", `    default "";`}},
		pkg:   "nginx", test: "TestProblems",
	},
	{
		bug:   "an old cipher",
		edits: []edit{{"nginx/templates/kikuai/tls.conf.template", "ssl_ciphers ", "ssl_ciphers ECDHE-ECDSA-AES128-SHA:"}},
		pkg:   "nginx", test: "TestTLS",
	},
	{
		bug:   "no word of the issuer",
		edits: []edit{{"nginx/templates/kikuai/tls.conf.template", "ssl_stapling on;", "ssl_stapling off;"}},
		pkg:   "nginx", test: "TestStapling",
	},
	{
		bug:   "no start without a certificate",
		edits: []edit{{"nginx/variables.envsh", "	FRONT_SITE=bootstrap\n", ""}},
		pkg:   "nginx", test: "TestBootstrap",
	},
}
