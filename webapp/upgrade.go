package webapp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/billing"
)

const (
	readBuffer  = 512 // bytes of a socket that says next to nothing
	writeBuffer = 1 << 10
	earlyMost   = 16 << 10 // bytes that a client sends before it was let in
)

// Serve turns the request into a socket. who is nil where the client is to say in its
// first message who it is; admit then tells whom its token speaks for.
// billing.ErrClosed where as many sockets as may be are open; a [*fiber.Error] where the
// request is no WebSocket's.
func (l *Live) Serve(c *fiber.Ctx, who *billing.Presence, admit func(ctx context.Context, token string) (billing.Presence, error)) error {
	request := handshake(&c.Request().Header)
	if request == nil {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return fiber.ErrUpgradeRequired
	}
	if l.full() {
		return errFull
	}
	var after *billing.FeedPlace
	if who != nil {
		last := c.Query("after")
		after = afterOf(&last)
	}
	c.Status(fiber.StatusSwitchingProtocols)
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(kept net.Conn) {
		conn, early, err := release(kept)
		if err != nil {
			return
		}
		// What follows does without the HTTP server's buffers, which are large, for as long
		// as the socket is open.
		go l.accept(conn, early, request, who, after, admit)
	})
	return nil
}

// handshake is the request as the WebSocket's library wants it, with the headers of the
// handshake alone; nil where it is none.
func handshake(header *fasthttp.RequestHeader) *http.Request {
	request := &http.Request{Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Extensions"} {
		for _, value := range header.PeekAll(name) {
			request.Header.Add(name, string(value))
		}
	}
	if !header.ConnectionUpgrade() || string(header.Peek("Sec-WebSocket-Version")) != "13" || len(header.PeekAll("Sec-WebSocket-Key")) != 1 {
		return nil
	}
	return request
}

// release takes the connection from the HTTP server, with what was read of it too early.
func release(kept net.Conn) (conn net.Conn, early []byte, err error) {
	owner, is := kept.(interface{ UnsafeConn() net.Conn })
	if !is {
		return nil, nil, errors.New("webapp: not a connection of the HTTP server")
	}
	conn = owner.UnsafeConn()
	if err := conn.SetDeadline(time.Unix(1, 0)); err != nil { // long ago: only what is there already is read
		return nil, nil, errors.Join(err, conn.Close())
	}
	for len(early) < earlyMost {
		more := make([]byte, readBuffer)
		n, err := kept.Read(more)
		early = append(early, more[:n]...)
		if err != nil {
			break
		}
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, early, nil
}

// accept ends the handshake and serves the socket.
func (l *Live) accept(conn net.Conn, early []byte, request *http.Request, who *billing.Presence, after *billing.FeedPlace, admit admission) {
	w := &answer{conn: conn, early: early, header: http.Header{}}
	socket, err := websocket.Accept(w, request, &websocket.AcceptOptions{
		InsecureSkipVerify:   true, // who serves the route has looked at the origin
		CompressionMode:      websocket.CompressionNoContextTakeover,
		CompressionThreshold: compress,
	})
	if err != nil {
		l.log.Debug("a socket could not be opened", "error", err)
		_ = conn.Close()
		return
	}
	newSocket(l, socket, admit).run(who, after)
}

// answer writes the answer to a handshake to a connection that nobody else answers on.
type answer struct {
	conn   net.Conn
	early  []byte
	header http.Header
	status int
	err    error
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	w := bufio.NewWriterSize(a.conn, writeBuffer)
	_, _ = w.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n") // Flush tells
	a.err = a.header.Write(w)
	_, _ = w.WriteString("\r\n")
	a.err = errors.Join(a.err, w.Flush())
}

func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.conn.Write(text)
}

// Hijack hands the connection over.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn := &prefixed{Conn: a.conn, early: a.early}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, readBuffer), bufio.NewWriterSize(conn, writeBuffer)), a.err
}

// prefixed is a connection of which the beginning was read before.
type prefixed struct {
	net.Conn

	early []byte
}

func (p *prefixed) Read(into []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(into, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	return p.Conn.Read(into)
}
