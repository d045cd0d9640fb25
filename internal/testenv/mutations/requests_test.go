package mutations

// requestBugs are of requests: what of them is refused, passed on and translated.
var requestBugs = []mutation{
	{
		bug:   "keep a chat completion at the provider",
		edits: []edit{{"internal/llm/stored.go", "\tif err == nil && kept {\n", "\tif err != nil && kept {\n"}},
		pkg:   "internal/llm", test: "TestChatKeepsNothing",
	},
	{
		bug: "say nothing to a provider that keeps chat completions by itself",
		edits: []edit{{"internal/llm/patch.go",
			"\t\tedits = append(edits, edit{r.open, r.open, unkept})\n", "\t\t_ = unkept\n"}},
		pkg: "internal/llm", test: "TestChatUnkept",
	},
	{
		bug: "let a second wish hide a stream's usage",
		edits: []edit{{"internal/llm/chatrequest.go",
			"if count++; count > 1 || key.Str", "if count++; count > 9 || key.Str"}},
		pkg: "internal/llm", test: "TestRequestRefusals",
	},
	{
		bug: "look for the id of a file in a part itself, and not in what it holds",
		edits: []edit{{"internal/llm/stored.go",
			"\t\t\tdefault:\n\t\t\t\tfault = storedIn(value, at)\n", ""}},
		pkg: "internal/llm", test: "TestChatKeepsNothing",
	},
	{
		bug: "pass on the id of an answer's sound",
		edits: []edit{{"internal/llm/prompt.go",
			"if value != \"null\" && strings.EqualFold(name, \"audio\") {",
			"if value == \"null\" && strings.EqualFold(name, \"audio\") {"}},
		pkg: "internal/llm", test: "TestChatKeepsNothing",
	},
	{
		bug: "let a provider answer whom nobody waits for",
		edits: []edit{{"internal/llm/stored.go",
			"\t\tif value.Type != gjson.False {\n", "\t\tif value.Type == gjson.String {\n"}},
		pkg: "internal/llm", test: "TestChatKeepsNothing",
	},
	{
		bug: "hold the price of an answer for a request that wants none",
		edits: []edit{{"internal/llm/units.go",
			"\tif r.Warming {\n\t\treturn 0\n\t}\n", ""}},
		pkg: "gateway", test: "TestMessagesOfNoAnswer",
	},
	{
		bug: "take half a token for none",
		edits: []edit{{"internal/llm/messagesrequest.go",
			"r.Warming = values[messagesMax].Raw == \"0\"",
			"r.Warming = values[messagesMax].Int() == 0"}},
		pkg: "internal/llm", test: "TestMessagesOfNoAnswer",
	},
	{
		bug: "look for a compaction in the first of two lists of edits",
		edits: []edit{{"internal/llm/messagesrequest.go",
			"edits, fault := only(context, \"edits\", param)",
			"edits, fault := context.Get(\"edits\"), error(nil)"}},
		pkg: "internal/llm", test: "TestMessagesRefusals",
	},
	{
		bug: "send a chat provider parts where it may take one string",
		edits: []edit{{"internal/llm/translate/messages_blocks.go",
			"\tif len(p.texts) != p.n {\n", "\tif len(p.texts) != p.n || p.n > 1 {\n"}},
		pkg: "internal/llm/translate", test: "TestMessagesToChat",
	},
	{
		bug: "break an answer of before between its texts",
		edits: []edit{{"internal/llm/translate/messages_turns.go",
			"t.said.words(t.w, nothing)", "t.said.words(t.w, newLine)"}},
		pkg: "internal/llm/translate", test: "TestMessagesToChat",
	},
}
