package doctor

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/llm"
)

// TestPage holds deploy/doctor.md to the checks there are.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../deploy/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	none, err := llm.LoadCatalogue(llm.DefaultCatalogue, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	told := map[string]bool{"configuration": true, "provider.<name>": true}
	for _, checks := range [][]Check{
		Redis{Client: cluster, Cache: cluster}.Checks(), Postgres{Replica: &pgxpool.Pool{}}.Checks(), Clocks{}.Checks(), Telegram{}.Checks(),
		Providers{Catalogue: none}.Checks(), Secrets{}.Checks(), Keys{}.Checks(), Cards{}.Checks(), Host{Backups: "x"}.Checks(), Web{URL: "https://x"}.Checks(),
	} {
		for _, check := range checks {
			told[check.Name] = true
		}
	}
	for name := range told {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
	for line := range strings.Lines(string(text)) {
		if first, _, is := strings.Cut(strings.TrimPrefix(line, "| "), " |"); is && strings.HasPrefix(line, "| `") {
			for name := range strings.SplitSeq(first, ", ") {
				if !told[strings.Trim(name, "`")] {
					t.Errorf("the page has a check %s that there is not", name)
				}
			}
		}
	}
}
