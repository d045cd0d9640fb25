package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestDoor: who has knocked before the door closes is let in, however late, and nobody
// after that.
func TestDoor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: listener}
	addr := listener.Addr().String()
	const callers = 50
	conns := make([]net.Conn, callers)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		fmt.Fprintf(conns[i], "caller %d\n", i)
	}
	if n := waiting(listener); n != callers {
		t.Errorf("%d wait, of %d", n, callers)
	}
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("the door closes on those who wait: %v", err)
	case <-time.After(20 * queueEvery):
	}
	for accepted := 0; ; accepted++ {
		conn, err := listener.Accept()
		if err != nil {
			if accepted < callers {
				t.Errorf("%d were let in, of %d", accepted, callers)
			}
			break
		}
		go func() { _, _ = io.Copy(conn, io.LimitReader(conn, 9)); _ = conn.Close() }()
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for i, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if word, err := bufio.NewReader(conn).ReadString(' '); word != "caller " {
			t.Errorf("caller %d hears %q, %v", i, word, err)
		}
	}
	if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		_ = conn.Close()
		t.Error("the door is open")
	}
}

// TestNotice: a server that is told to stop goes on answering, once on each connection, and
// stops as soon as nobody is connected.
func TestNotice(t *testing.T) {
	r := newRig(t, func(s *setup) { s.server.Notice = patience })
	_, key := r.account(dollar)
	ask := func(conn net.Conn, path string) *http.Response {
		t.Helper()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, key)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response
	}
	known := r.dial()
	defer known.Close()
	if response := ask(known, "/api/v1/balance"); response.StatusCode != http.StatusOK || response.Close {
		t.Fatalf("before: %d, closes %v", response.StatusCode, response.Close)
	}
	http.DefaultClient.CloseIdleConnections()
	stopped := make(chan error, 1)
	began := time.Now()
	r.stopped = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
		defer cancel()
		stopped <- r.server.Shutdown(ctx)
	}()
	testenv.Until(r.t, "notice is given", r.server.draining.Load)
	for _, path := range []string{"/readyz", "/nowhere", "/api/v1/balance"} {
		conn := r.dial()
		response := ask(conn, path)
		want := map[string]int{"/readyz": 503, "/nowhere": 404, "/api/v1/balance": 200}[path]
		if response.StatusCode != want || !response.Close {
			t.Errorf("%s while notice is given: %d, closes %v", path, response.StatusCode, response.Close)
		}
		_ = conn.Close()
	}
	if response := ask(known, "/api/v1/balance"); response.StatusCode != http.StatusOK || !response.Close {
		t.Errorf("a connection of before: %d, closes %v", response.StatusCode, response.Close)
	}
	_ = known.Close()
	r.must(<-stopped)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.must(r.meter.Close(ctx))
	if took := time.Since(began); took > patience {
		t.Errorf("stopped after %s, with nobody connected", took)
	}
}
