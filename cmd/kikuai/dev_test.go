package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const walker = "../../internal/telegramsim/e2e"

// TestE2EBrowser starts kikuai dev with nothing but a folder, walks its chat page in a
// headless browser, with KIKUAI_TOUR=1 through every command and every button too, stops it,
// and finds the data again at a second start.
func TestE2EBrowser(t *testing.T) {
	t.Parallel()
	installWalker(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s := &site{t: t, binary: path, client: http.DefaultClient, env: map[string]string{
		"LISTEN_ADDR": freeAddr(t), "OPS_ADDR": freeAddr(t), "ADMIN_TELEGRAM_IDS": "1001",
	}}
	s.url = "http://" + s.env["LISTEN_ADDR"]
	page := freeAddr(t)
	dev := s.spawn("dev", "--data", data, "--chat", page)
	dev.waitReady()
	if !strings.Contains(dev.log.String(), "http://"+page+"/") {
		t.Errorf("dev does not say where the chat is:\n%s", dev.log)
	}

	walk := exec.Command("node", "walk.mjs")
	walk.Dir = walker
	walk.Env = append(os.Environ(), "PAGE_URL=http://"+page+"/", "API_URL="+s.url, "STEP_MS=60000", "TOPUP=250", "TOUR="+os.Getenv("KIKUAI_TOUR"), "SHOTS="+os.Getenv("KIKUAI_SHOTS"))
	out, err := walk.Output()
	if err != nil {
		t.Fatalf("walk: %v\n%s", err, stderrOf(err))
	}
	var walked struct {
		OK    bool `json:"ok"`
		Steps []struct {
			Step   string `json:"step"`
			Frames int    `json:"frames"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(out, &walked); err != nil || !walked.OK {
		t.Fatalf("walk: %v\n%s", err, out)
	}

	var before accountAnswer
	balance := func() accountAnswer {
		t.Helper()
		var user accountAnswer
		redis, database := devStores(t, dev)
		s.env["REDIS_URL"], s.env["DATABASE_URL"], s.env["KIKUAI_ENV"] = redis, database, "development"
		s.until(time.Minute, "telling the balance that Redis has", func() bool {
			s.admin(&user, "user", "--telegram-id", "1001")
			return user.BalanceCurrent
		})
		delete(s.env, "REDIS_URL")
		delete(s.env, "DATABASE_URL")
		return user
	}
	before = balance()
	interrupt(t, dev)
	dev = s.spawn("dev", "--data", data, "--chat", page)
	dev.waitReady()
	if after := balance(); after != before || after.AvailableNanoUSD == 0 {
		t.Errorf("after a second start %+v, before %+v", after, before)
	}
	interrupt(t, dev)
	if kept, err := os.ReadFile(filepath.Join(data, "conversations.json")); err != nil || !strings.Contains(string(kept), "talk:") {
		t.Errorf("conversations are not kept: %v", err)
	}
}

// TestFreeOr: a port that somebody has is replaced and told of; what is no address to listen
// on is a fault.
func TestFreeOr(t *testing.T) {
	t.Parallel()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	usual := held.Addr().String()
	_, port, _ := net.SplitHostPort(usual)
	d := &devSite{}
	if addr, err := d.freeOr(usual); err != nil || addr == usual || !slices.Equal(d.taken, []string{port + " was taken"}) {
		t.Errorf("%s, %v, %q", addr, err, d.taken)
	}
	for _, bad := range []string{"nonsense", "127.0.0.1:99999", "127.0.0.1:http-of-nobody", "192.0.2.1:80"} {
		d := &devSite{lookup: func(string) (string, bool) { return "", false }}
		if addr, err := d.freeOr(bad); err == nil || len(d.taken) > 0 {
			t.Errorf("%s became %s", bad, addr)
		}
		if err := d.telegram(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "--chat is \""+bad+"\"") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestAdminLine: the line for admin commands has what dev decided, and of what was given to
// it the profile alone.
func TestAdminLine(t *testing.T) {
	t.Parallel()
	given := map[string]string{"KIKUAI_ENV": "testing", "DATABASE_URL": "postgres://u:hidden-word@db/kikuai"}
	d := &devSite{
		lookup:  func(name string) (string, bool) { value, set := given[name]; return value, set },
		overlay: map[string]string{"REDIS_URL": "redis://127.0.0.1:1", "TELEGRAM_BOT_TOKEN": "hidden-word"},
	}
	if got, want := d.adminLine("bin/kikuai"), "KIKUAI_ENV=testing REDIS_URL='redis://127.0.0.1:1' bin/kikuai admin …"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// devStores reads from dev's own words where its Redis and Postgres are.
func devStores(t *testing.T, dev *process) (redis, database string) {
	t.Helper()
	for line := range strings.Lines(dev.log.String()) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == "Redis" {
			redis = fields[1]
		}
		if len(fields) == 2 && fields[0] == "Postgres" {
			database = fields[1]
		}
	}
	if redis == "" || database == "" {
		t.Fatalf("dev does not say where its stores are:\n%s", dev.log)
	}
	return redis, database
}

// interrupt is Ctrl-C.
func interrupt(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopIn):
		t.Fatalf("dev did not stop within %s", stopIn)
	}
	if p.result != nil {
		t.Fatalf("dev ended with %v", p.result)
	}
}

// installWalker brings what the walk needs where it is not there yet.
func installWalker(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(walker, "node_modules", "playwright-core")); err == nil {
		return
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = walker
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as Output returns it
		return string(exit.Stderr)
	}
	return ""
}
