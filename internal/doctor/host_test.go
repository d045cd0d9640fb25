package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDisks(t *testing.T) {
	t.Parallel()
	const whole = 100 << 30
	left := map[string]uint64{"/roomy": 50 << 30, "/tight": 9 << 30, "/full": 1 << 30}
	h := Host{Now: time.Now, Free: func(dir string) (free, total uint64, err error) {
		if left[dir] == 0 {
			return 0, 0, errors.New("not here")
		}
		return left[dir], whole, nil
	}}
	h.Disks = func(context.Context) map[string]string {
		return map[string]string{"a": "/roomy", "b": "/tight", "c": "/full", "d": "/elsewhere"}
	}
	expect(t, h.Checks(), "host.disk", "ok: 50.0 GiB of 100.0 GiB are free where a", "warning: where b", "fault: where c")
	h.Free, h.Disks = nil, func(context.Context) map[string]string {
		return map[string]string{"this": t.TempDir(), "no": "/does/not/exist"}
	}
	if found := Examine(t.Context(), Only(h.Checks(), []string{"host.disk"})); len(found) != 1 {
		t.Errorf("of the real disk: %+v", found)
	}
	expect(t, h.Checks(), "host.zone", "ok: nothing depends")
}

func TestBackups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	h := Host{Disks: func(context.Context) map[string]string { return nil }, Backups: dir, Oldest: 26 * time.Hour, Now: func() time.Time { return now }}
	put := func(name, text string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, h.Checks(), "host.backups", "fault: no backup in")
	put("old.dump", "money", 27*time.Hour)
	expect(t, h.Checks(), "host.backups", "fault: 27h0m0s old")
	for _, folder := range []string{"wal", ".unfinished-x"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(".lock", "", 0)
	put("wal/000000010000000000000001.partial", "log", 0)
	put(".unfinished-x/base.tar.gz", "mon", 0)
	expect(t, h.Checks(), "host.backups", "fault: 27h0m0s old")
	put("new.dump", "money", time.Hour)
	expect(t, h.Checks(), "host.backups", "ok: 1h0m0s old")
	put("newer.dump", "", time.Minute)
	expect(t, h.Checks(), "host.backups", "fault: is empty")
	h.Backups = filepath.Join(dir, "none")
	expect(t, h.Checks(), "host.backups", "fault: no directory")
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	const good, other = "9f2b7c41d05e8a63f1b4c97e20d86a35", "c4Zt1vQm8Ry2Wk7X"
	for name, row := range map[string]struct {
		secrets Secrets
		want    string
	}{
		"good":        {Secrets{{"KEY_PEPPER", good, BitsOfPepper}, {"WEBHOOK_SECRET", other, BitsOfWebhook}, {"none", "", BitsOfPepper}}, "ok: 2 secrets differ"},
		"twice":       {Secrets{{"KEY_PEPPER", good, BitsOfPepper}, {"WEBHOOK_SECRET", good, BitsOfWebhook}}, "fault: WEBHOOK_SECRET is the same as KEY_PEPPER"},
		"short":       {Secrets{{"KEY_PEPPER", other, BitsOfPepper}}, "warning: could be guessed"},
		"of one sign": {Secrets{{"KEY_PEPPER", strings.Repeat("ab", 40), BitsOfPepper}}, "warning: could be guessed"},
		"a word":      {Secrets{{"the password in DATABASE_URL", "kikuai", BitsOfPassword}}, "fault: placeholder"},
		"of examples": {Secrets{{"KEY_PEPPER", "ChangeMe-" + good, BitsOfPepper}}, "fault: placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, row.secrets.Checks(), "secrets", row.want)
			for _, f := range Examine(t.Context(), row.secrets.Checks()) {
				for _, s := range row.secrets {
					if s.Value != "" && strings.Contains(f.Says+f.Mend, s.Value) && s.Value != "kikuai" {
						t.Errorf("a secret is told: %+v", f)
					}
				}
			}
		})
	}
}
