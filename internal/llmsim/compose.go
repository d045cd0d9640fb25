package llmsim

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"
)

const (
	quoteRunes = 90 // of a message that is quoted back
	longRounds = 6  // times the stock of sentences is used up when asked for something long
)

// compose writes the default model's answer: always the same for the same
// conversation, visibly about its last message, and saying how many turns it
// was shown.
func compose(messages []message) string {
	var users []string
	system, told := "", ""
	for _, m := range messages {
		switch m.role {
		case "user":
			users = append(users, m.text)
		case "system":
			system = m.text
		case "tool":
			told = m.text
		case "assistant":
			told = ""
		}
	}
	last := ""
	if len(users) > 0 {
		last = users[len(users)-1]
	}
	var b strings.Builder
	if last == "" {
		b.WriteString("There were no words in your message, so here are a few of mine.")
	} else {
		fmt.Fprintf(&b, "You wrote “%s”, which is %s.", quote(last), plural(len(strings.Fields(last)), "word"))
	}
	if len(users) > 1 {
		fmt.Fprintf(&b, " This is turn %d of our chat; the first one began with “%s”.", len(users), quote(users[0]))
	} else {
		b.WriteString(" This is turn 1 of our chat, so there is nothing before it to remember.")
	}
	if system != "" {
		fmt.Fprintf(&b, " I was told to behave like this: “%s”.", quote(system))
	}
	if told != "" {
		fmt.Fprintf(&b, " A tool told me: “%s”.", quote(told))
	}
	stock := sentences()
	start := pick(last, len(stock))
	rounds := 2
	if strings.Contains(strings.ToLower(last), "long") {
		rounds = longRounds * len(stock)
	}
	for i := range rounds {
		if i > 0 && i%len(stock) == 0 {
			b.WriteString("\n\n")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(stock[(start+i)%len(stock)])
	}
	return b.String()
}

// sentences are what the default model has to say.
func sentences() []string {
	return []string{
		"I am a simulated model: I understand nothing, but I count every token honestly.",
		"The words arrive one at a time so that you can watch the stream, stop it halfway and see what that costs.",
		"Ask for something long and I will keep talking for a while.",
		"Set OPENAI_API_KEY and start again, and the same chat goes to a real model.",
		"Whatever this answer costs is held before I begin and settled to the nano-dollar when I end.",
	}
}

// filler is a text of exactly n tokens.
func filler(n int) string {
	words := []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[i%len(words)])
	}
	return b.String()
}

// quote shortens a text to one line that can stand between quotation marks.
func quote(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= quoteRunes {
		return text
	}
	return strings.TrimSpace(string([]rune(text)[:quoteRunes])) + "…"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func pick(text string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // a hash never fails to write
	return int(h.Sum32() % uint32(n))
}
