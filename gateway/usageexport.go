package gateway

import (
	"context"
	"encoding/json"
	"io"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

const (
	exportPage    = 1000 // calls read from the books at a time
	exportsAtOnce = 8    // of an instance, files for chats included
)

// exportUsage answers GET /api/v1/usage/export: a line for each call, the oldest first.
func (s *Server) exportUsage(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	v, p, err := s.openSpan(ctx, c)
	if err != nil {
		return err
	}
	release, err := s.exporting()
	if err != nil {
		return err
	}
	e := &export{server: s, id: requestID(c), ctx: s.base, release: release}
	filter, visible := p.filter(v)
	e.query = billing.UsedCallsQuery{UsageFilter: filter, Oldest: true, Most: exportPage}
	if e.over = !visible; visible {
		err = e.fill() // what cannot begin is told with its status
	}
	if err != nil {
		release()
		return err
	}
	header := &c.Response().Header
	streamHeaders(header)
	header.Set(fiber.HeaderCacheControl, noStore)
	header.SetContentType("application/x-ndjson")
	c.Response().ImmediateHeaderFlush = true
	c.Response().SetBodyStream(e, -1)
	return nil
}

// exporting takes one of the places for exports. errBusy.
func (s *Server) exporting() (release func(), err error) {
	select {
	case s.exports <- struct{}{}:
	default:
		return nil, errBusy
	}
	s.pumps.Add(1)
	return sync.OnceFunc(func() {
		<-s.exports
		s.pumps.Done()
	}), nil
}

// export is the body of a streamed export. It reads the books page by page, each from
// where the one before ended: between two pages it keeps no connection to Postgres and no
// snapshot, however slowly its client reads, and never more than one page. The ledger is
// append-only, so no call is told twice.
type export struct {
	server  *Server
	id      string // of the request
	ctx     context.Context
	query   billing.UsedCallsQuery
	unread  []byte
	over    bool // there are no further pages
	release func()
}

// Read gives the HTTP server the next lines.
func (e *export) Read(b []byte) (int, error) {
	for len(e.unread) == 0 {
		if e.over {
			return 0, io.EOF
		}
		if err := e.fill(); err != nil {
			e.server.report(e.id, e.query.AccountID, fiber.StatusServiceUnavailable, err)
			return 0, err // the connection breaks off: the client sees that it is not whole
		}
	}
	n := copy(b, e.unread)
	e.unread = e.unread[n:]
	return n, nil
}

// Close frees the export's place.
func (e *export) Close() error {
	e.release()
	return nil
}

// fill reads the next page.
func (e *export) fill() error {
	ctx, cancel := context.WithTimeout(e.ctx, accountIn)
	defer cancel()
	calls, err := e.server.account.Usage.UsedCalls(ctx, e.query)
	if err != nil {
		return err
	}
	e.unread = e.unread[:0]
	for _, call := range calls {
		line, err := json.Marshal(callJSON(call))
		if err != nil {
			return err
		}
		e.unread = append(append(e.unread, line...), '\n')
	}
	if e.over = len(calls) < e.query.Most; !e.over {
		last := calls[len(calls)-1]
		e.query.AfterAt, e.query.AfterID = last.At, last.ID
	}
	return nil
}
