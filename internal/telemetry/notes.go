package telemetry

import (
	"context"
	"log/slog"
	"sync"
)

// notesMost bounds what is noted of one piece of work.
const notesMost = 8

type notesKey struct{}

// notes are what is known of a piece of work. Who begins it may know less than who goes
// on with it, so they grow.
type notes struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

// WithNotes begins a piece of work: log lines that are given its context, or one below it,
// carry attrs and what [Note] adds later, wherever in the program they are written.
func WithNotes(ctx context.Context, attrs ...slog.Attr) context.Context {
	n := &notes{}
	if above, is := ctx.Value(notesKey{}).(*notes); is {
		n.attrs = above.all()
	}
	n.add(attrs)
	return context.WithValue(ctx, notesKey{}, n)
}

// Note adds to the notes of the work that ctx is about; a later value of a name replaces
// the earlier one. Without [WithNotes] above it does nothing.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if n, is := ctx.Value(notesKey{}).(*notes); is {
		n.add(attrs)
	}
}

func (n *notes) add(attrs []slog.Attr) {
	n.mu.Lock()
	defer n.mu.Unlock()
next:
	for _, attr := range attrs {
		for i := range n.attrs {
			if n.attrs[i].Key == attr.Key {
				n.attrs[i] = attr
				continue next
			}
		}
		if len(n.attrs) < notesMost {
			n.attrs = append(n.attrs, attr)
		}
	}
}

// all is a copy.
func (n *notes) all() []slog.Attr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]slog.Attr(nil), n.attrs...)
}

// noting adds to each line what its context's work is known by, but for what the line
// says itself.
type noting struct{ slog.Handler }

func (h noting) Handle(ctx context.Context, r slog.Record) error {
	n, is := ctx.Value(notesKey{}).(*notes)
	if !is {
		return h.Handler.Handle(ctx, r)
	}
	said := map[string]bool{}
	r.Attrs(func(a slog.Attr) bool {
		said[a.Key] = true
		return true
	})
	r = r.Clone()
	for _, attr := range n.all() {
		if !said[attr.Key] {
			r.AddAttrs(attr)
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h noting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return noting{h.Handler.WithAttrs(attrs)}
}

func (h noting) WithGroup(name string) slog.Handler { return noting{h.Handler.WithGroup(name)} }
