package mutations

// webappBugs are of the Mini App's sessions, files and sockets.
var webappBugs = []mutation{
	{
		bug:   "believe initData that is older than an hour",
		edits: []edit{{"webapp/initdata.go", "age > initDataAge || age < -initDataAhead", "age < -initDataAhead"}},
		pkg:   "webapp", test: "TestInitDataIsRefused",
	},
	{
		bug:   "believe initData of the future",
		edits: []edit{{"webapp/initdata.go", "age > initDataAge || age < -initDataAhead", "age > initDataAge"}},
		pkg:   "webapp", test: "TestInitDataIsRefused",
	},
	{
		bug:   "take the last of two fields of one name",
		edits: []edit{{"webapp/initdata.go", "err != nil || twice {", "err != nil || twice && false {"}},
		pkg:   "webapp", test: "TestInitDataIsRefused",
	},
	{
		bug:   "leave the signature for others out of what was signed",
		edits: []edit{{"webapp/initdata.go", "if name != fieldHash {", "if name != fieldHash && name != \"signature\" {"}},
		pkg:   "webapp", test: "TestInitDataIsRead",
	},
	{
		bug:   "decode initData twice",
		edits: []edit{{"webapp/initdata.go", "		fields[name] = value\n", "		fields[name], _ = url.QueryUnescape(value)\n"}},
		pkg:   "webapp", test: "TestInitDataIsRead",
	},
	{
		bug:   "a session without an end",
		edits: []edit{{"webapp/token.go", "account <= 0 || !now.Before(end)", "account <= 0 || end.IsZero()"}},
		pkg:   "webapp", test: "TestTokens",
	},
	{
		bug:   "a token that nobody has sealed",
		edits: []edit{{"webapp/token.go", "if !sealed || account", "if account"}},
		pkg:   "webapp", test: "TestTokens",
	},
	{
		bug:   "a session goes on whatever its account may",
		edits: []edit{{"gateway/session.go", `if key.Session != "" && !v.Active {`, `if key.Session == "?" {`}},
		pkg:   "gateway", test: "TestSessionEnds",
	},
	{
		bug:   "sessions from any site",
		edits: []edit{{"gateway/session.go", "	return errOrigin\n", "	return nil\n"}},
		pkg:   "gateway", test: "TestSessionRefused",
	},
	{
		bug:   "forged initData costs its sender nothing",
		edits: []edit{{"gateway/session.go", "return s.strangers.failed(s.base, s.clientAddress(c), \"\", err)", "return err"}},
		pkg:   "gateway", test: "TestSessionStrangers",
	},
	{
		bug:   "what is not there is kept for a day",
		edits: []edit{{"webapp/static.go", "		header.Set(fiber.HeaderCacheControl, cacheNever)\n		header.SetContentType(types[\".txt\"])", "		header.Set(fiber.HeaderCacheControl, cacheDay)\n		header.SetContentType(types[\".txt\"])"}},
		pkg:   "webapp", test: "TestServing",
	},
	{
		bug:   "one tag for all encodings",
		edits: []edit{{"webapp/static.go", "f.tag + suffix(encoding)", "f.tag"}},
		pkg:   "webapp", test: "TestTagsDiffer",
	},
	{
		bug:   "who comes back begins where the ledger is now",
		edits: []edit{{"webapp/socket.go", "	s.seq = s.after.Seq\n	s.resumed(resumeFull)", "	s.resumed(resumeFull)"}},
		pkg:   "webapp", test: "TestLiveLosesNothing",
	},
	{
		bug:   "who was told of nothing looks for nothing",
		edits: []edit{{"webapp/follow.go", "		case <-sweep.C:\n			l.sweep()\n", "		case <-sweep.C:\n"}},
		pkg:   "webapp", test: "TestLiveDeaf",
	},
	{
		bug:   "a socket outlives its key",
		edits: []edit{{"webapp/follow.go", "state.Status != billing.StatusActive, slices.Contains(gone, s.key):", "state.Status != billing.StatusActive:"}},
		pkg:   "webapp", test: "TestLiveEnds",
	},
	{
		bug:   "a socket outlives its account's right to spend",
		edits: []edit{{"webapp/follow.go", "case !is || state.Status != billing.StatusActive, slices", "case !is, slices"}},
		pkg:   "webapp", test: "TestLiveEnds",
	},
	{
		bug:   "a socket changes to another account",
		edits: []edit{{"webapp/socket.go", "code == 0 && (who.AccountID != s.account || who.KeyID != s.key)", "code == 0 && who.KeyID != s.key"}},
		pkg:   "webapp", test: "TestLiveSession",
	},
	{
		bug:   "a client that reads nothing is kept for",
		edits: []edit{{"webapp/socket.go", "full := len(s.queue)+len(events) > queueMost", "full := len(events) > queueMost"}},
		pkg:   "webapp", test: "TestLiveSlow",
	},
	{
		bug:   "what came with the handshake is dropped",
		edits: []edit{{"webapp/upgrade.go", "		early = append(early, more[:n]...)\n", "		_ = n\n"}},
		pkg:   "webapp", test: "TestLiveEarly",
	},
	{
		bug:   "tell a socket again what another one of its account has missed",
		edits: []edit{{"webapp/socket.go", "		if e.Seq <= s.seq {\n			continue\n		}\n", ""}},
		pkg:   "webapp", test: "TestLiveTellsOnce",
	},
	{
		bug:   "who has left comes back by what was said before",
		edits: []edit{{"billing/accounts.go", "!said.IsZero() && !said.After(left)", "!said.IsZero() && said.IsZero()"}},
		pkg:   "gateway", test: "TestSessionEnds",
	},
	{
		bug:   "a cursor is good for any account",
		edits: []edit{{"gateway/account.go", "\"%d %q %s\", account, question, position)", "\"%d %q %s\", 0, question, position)"}},
		pkg:   "gateway", test: "TestPages",
	},
	{
		bug:   "a restricted key sees what the whole account used",
		edits: []edit{{"gateway/usagerange.go", "		f.KeyID = v.own\n", ""}},
		pkg:   "gateway", test: "TestUsageQuestions",
	},
	{
		bug:   "an hour that an edge cuts is moved to the wrong side",
		edits: []edit{{"billing/consumption_sql.go", "cut.until - interval", "cut.until + interval"}},
		pkg:   "gateway", test: "TestUsageAddsUp",
	},
	{
		bug:   "one name for two files that were wished",
		edits: []edit{{"bot/outbox/outbox.go", "and wish <> $2)", "and wish <> $2 and false)"}},
		pkg:   "bot/outbox", test: "TestWishes",
	},
	{
		bug:   "fragments that nobody asks for are validated whatever they come to",
		edits: []edit{{"gateway/graphquery.go", "		count = spread(document, f.SelectionSet, count+1)\n", "		_ = f\n"}},
		pkg:   "gateway", test: "TestGraphRefuses",
	},
}
