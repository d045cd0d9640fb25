package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// dearCatalogue has one model, of which a cent buys twenty tokens and an answer has a hundred.
const dearCatalogue = `providers:
  - {name: sim, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: dear
    prices: {input: "0", output: "500"}
    context: 128000
    max_output: 4096
    deployments: [{provider: sim, model: sim-tokens-100}]
`

// TestE2EGroupPays lets an administrator pay for a group, up to a cent a day: a member
// without an account is answered for exactly that, also after the group has grown; then
// the asker pays, the books balance, and the payer sees what it came to.
func TestE2EGroupPays(t *testing.T) {
	t.Parallel()
	const cent = 10_000_000 // nano-USD
	s := newSite(t, func(o *telegramsim.Options) { o.Privacy = true })
	catalogue := filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(catalogue, fmt.Appendf(nil, dearCatalogue, s.model.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["CATALOG_FILE"], s.env["CHAT_MODEL"] = catalogue, "dear"
	serve := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	stranger := s.telegram.User(personID+1, "Bob").ID
	group, err := s.telegram.BasicGroup("Friends", person, stranger)
	if err != nil {
		t.Fatal(err)
	}
	sees := func(chat int64, says string) {
		t.Helper()
		like := regexp.MustCompile(says)
		s.until(20*time.Second, "there is a message like "+says, func() bool {
			return slices.ContainsFunc(s.telegram.Messages(chat), func(m *telegramsim.Message) bool { return m.FromBot() && like.MatchString(m.Text+m.Caption) })
		})
	}
	write := func(who, chat int64, text, says string) {
		t.Helper()
		if _, err := s.telegram.Send(telegramsim.Saying{User: who, Chat: chat, Text: text}); err != nil {
			t.Fatal(err)
		}
		sees(chat, says)
	}
	sees(person, `^Hello, Ada`)
	name := s.telegram.Bot().Username
	write(stranger, group.ID, "/pay@"+name+" 1", `^Only administrators`)
	write(person, group.ID, "/pay@"+name+" 0.01", `^From now on Ada pays for what is asked here, up to \$0\.01 a day`)
	if group, err = s.telegram.Upgrade(person, group.ID); err != nil {
		t.Fatal(err)
	}
	write(stranger, group.ID, "@"+name+" the first", `\$0\.01, paid for the group$`)
	write(stranger, group.ID, "/pay@"+name, `^Ada pays.*up to \$0\.01 a day\. Today \(UTC\) it came to \$0\.01`)
	write(stranger, group.ID, "@"+name+" the second", `start me in private`)
	sees(group.ID, `^What Ada pays for this group in a day is used up`)
	write(person, group.ID, "@"+name+" the third", `\$0\.05$`)

	spent := func(grouped bool) int64 {
		return s.one(`select coalesce(sum(u.captured_nano), 0)::bigint from usage u left join api_keys k on k.id = u.key_id
			where (k.chat_id is not null) = $1`, grouped)
	}
	s.until(20*time.Second, "the ledger has both answers", func() bool { return spent(true) > 0 && spent(false) > 0 })
	if spent(true) != cent || spent(false) != 5*cent {
		t.Errorf("the group cost %d, the asker %d", spent(true), spent(false))
	}
	write(person, person, "/usage", `In all: \$0\.06[\s\S]*Of it for groups:\s+Friends: \$0\.01`)
	write(person, person, "/keys", `the group “Friends”: up to \$0\.01 a day`)
	if err := s.telegram.RemoveBot(person, group.ID, false); err != nil {
		t.Fatal(err)
	}
	s.until(20*time.Second, "nobody pays", func() bool {
		return s.one(`select count(*) from api_keys where chat_id is not null and revoked_at is null`) == 0
	})
	write(person, person, "/pay", `^You pay for no group`)
	serve.stop()
	s.reconciled()
}
