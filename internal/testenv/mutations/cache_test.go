package mutations

// cacheBugs are of the cache.
var cacheBugs = []mutation{
	{
		bug: "let a slow load overwrite what is newer",
		edits: []edit{{"cache/scripts/finish.lua",
			"if ARGV[2] ~= '' and f and ticket > f then",
			"if ARGV[2] ~= '' then"}},
		pkg: "cache", test: "TestOrderOfWrites",
	},
	{
		bug: "hand a refresh's failure to who could be served an old value",
		edits: []edit{{"cache/fetch.go",
			"\t\t\treturn nil, errRefresh\n",
			"\t\t\treturn nil, err\n"}},
		pkg: "cache", test: "TestFailedRefresh",
	},
	{
		bug: "keep in memory what was read before an invalidation",
		edits: []edit{{"cache/memory.go",
			"\tif s.generation.Load() != generation {\n\t\treturn false\n\t}\n",
			""}},
		pkg: "cache", test: "TestMemoryGeneration",
	},
	{
		bug: "take a value whose tag was invalidated",
		edits: []edit{{"cache/level2.go",
			"if f.frame.tags == f.tags && life.Val() > 0 {",
			"if life.Val() > 0 {"}},
		pkg: "cache", test: "TestTags",
	},
	{
		bug: "keep level one over a broken subscription",
		edits: []edit{{"cache/listen.go",
			"\t\t\tc.resync()\n\t\t\tif deaf {\n",
			"\t\t\tc.metrics.resyncs.Inc()\n\t\t\tif deaf {\n"}},
		pkg: "cache", test: "TestLostMessages",
	},
	{
		bug: "read from Redis what could not be invalidated there",
		edits: []edit{{"cache/fetch.go",
			"return r.cache.level2 != nil && !r.cache.backlog.holds(r.o.Name, r.aim.key)",
			"return r.cache.level2 != nil"}},
		pkg: "cache", test: "TestPutOffInvalidations",
	},
	{
		bug: "join a load that began before the invalidation",
		edits: []edit{{"cache/flights.go",
			"	if under, found := f.aim[a]; found {",
			"	a.generation = 0\n	if under, found := f.aim[a]; found {"}},
		pkg: "cache", test: "TestInvalidatedInFlight",
	},
	{
		bug: "load what another instance is loading",
		edits: []edit{{"cache/scripts/begin.lua",
			"if busy and ARGV[4] ~= '1' then return { 'busy' } end\n",
			""}},
		pkg: "cache", test: "TestReaders",
	},
	{
		bug: "push out of level one what was not asked for longest, by default",
		edits: []edit{{"cache/policy.go",
			"\tcase \"\":\n\t\treturn TinyLFU, nil\n\tcase TinyLFU, LRU, TTL:\n\t\treturn p, nil\n",
			"\tcase \"\", TinyLFU:\n\t\treturn LRU, nil\n\tcase LRU, TTL:\n\t\treturn p, nil\n"}},
		pkg: "cache", test: "TestHitRates",
	},
}
