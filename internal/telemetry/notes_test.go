package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/telemetry"
)

// TestNotes: a line carries what its work is known by, however late that was noted, once
// and redacted; and nothing of other work.
func TestNotes(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.NewLogger(&out, slog.LevelInfo).With("part", "bot")
	last := func() string {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return lines[len(lines)-1]
	}
	telemetry.Note(context.Background(), slog.Int64("account_id", 1)) // of no work: nothing
	ctx := telemetry.WithNotes(context.Background(), slog.Int64("update_id", 7))
	below, cancel := context.WithCancel(ctx)
	defer cancel()
	telemetry.Note(below, slog.Int64("account_id", 3), slog.String("secret", "hush"))
	log.WarnContext(ctx, "failed", "update_id", 8)
	for _, want := range []string{`"part":"bot"`, `"update_id":8`, `"account_id":3`, `"secret":"***"`} {
		if !strings.Contains(last(), want) {
			t.Errorf("%s lacks %s", last(), want)
		}
	}
	if strings.Count(last(), "update_id") != 1 {
		t.Errorf("a note is said twice: %s", last())
	}
	telemetry.Note(ctx, slog.Int64("account_id", 4))
	log.ErrorContext(below, "again")
	if !strings.Contains(last(), `"update_id":7`) || !strings.Contains(last(), `"account_id":4`) {
		t.Errorf("later notes are not said: %s", last())
	}
	inner := telemetry.WithNotes(ctx, slog.Int64("update_id", 9))
	telemetry.Note(inner, slog.Int64("account_id", 5))
	log.InfoContext(ctx, "outer")
	if !strings.Contains(last(), `"update_id":7`) || !strings.Contains(last(), `"account_id":4`) {
		t.Errorf("work within changed the work around it: %s", last())
	}
	log.Info("nobody's")
	if strings.Contains(last(), "update_id") {
		t.Errorf("a line of no work: %s", last())
	}
}
