package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger writes one JSON object per line. Secrets are taken out of messages
// and attributes, also inside groups, errors and structures (see Redact); that
// is a net under the code's own care, not a substitute for it. A line also carries what
// its context's work is known by (see WithNotes).
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(noting{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})})
}

// NewTextLogger is NewLogger with lines for people.
func NewTextLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(noting{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})})
}
