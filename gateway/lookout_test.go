package gateway

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// pair is a connection, seen from both ends.
func pair(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = accepted.Close(), dialled.Close() })
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

// told counts what a lookout tells it, and answers a probe as a stream does.
type told struct {
	conn         net.Conn
	probes, left atomic.Int64
}

func (w *told) probe() {
	w.probes.Add(1)
	_, _ = w.conn.Write(pingComment)
}

func (w *told) leave() { w.left.Add(1) }

// TestLookoutTellsWhoLeft: by hand, look by look. arrives waits for the system to have
// passed on what the other end did, which no look waits for.
func TestLookoutTellsWhoLeft(t *testing.T) {
	for _, c := range []struct {
		name    string
		does    func(client *net.TCPConn) error
		flowing bool // something is written all the while
		looks   int  // until it is noticed; 0: never
		probes  int64
	}{
		{"closes while it flows", (*net.TCPConn).Close, true, 1, 0},
		{"closes in silence", (*net.TCPConn).Close, false, 2, 1},
		{"resets", func(c *net.TCPConn) error { return errorsOf(c.SetLinger(0), c.Close()) }, false, 1, 0},
		{"closes behind a second request", func(c *net.TCPConn) error {
			_, err := io.WriteString(c, healthy)
			return errorsOf(err, c.Close())
		}, false, 2, 1},
		{"closes only its half", (*net.TCPConn).CloseWrite, false, 0, 1},
		{"sends a second request", func(c *net.TCPConn) error { _, err := io.WriteString(c, healthy); return err }, false, 0, 0},
		{"does nothing", func(*net.TCPConn) error { return nil }, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, client := pair(t)
			l, w := newLookout(time.Hour), &told{conn: server}
			defer l.close()
			watched := l.watch(&deadlineConn{Conn: server}, w)
			l.look()
			if w.probes.Load()+w.left.Load() != 0 {
				t.Fatal("a client that is there is not left alone")
			}
			if err := c.does(client); err != nil {
				t.Fatal(err)
			}
			if c.flowing {
				awaitCondition(t, watched, halfClosed)
				_, _ = server.Write(pingComment)
			}
			for look := 1; look <= max(c.looks, 4); look++ {
				if c.looks > 0 {
					want := severed
					if look < c.looks {
						want = halfClosed
					}
					awaitCondition(t, watched, want)
				}
				l.look()
				if noticed := w.left.Load() == 1; noticed != (c.looks > 0 && look >= c.looks) {
					t.Fatalf("noticed is %v after %d looks", noticed, look)
				}
				if look == c.looks {
					break
				}
			}
			if n := w.probes.Load(); n != c.probes {
				t.Errorf("probed %d times", n)
			}
			if c.looks > 0 && len(l.sockets) != 0 {
				t.Error("who left is still looked at")
			}
		})
	}
	if lookEvery > time.Second || pingEvery+lookEvery > 6*time.Second {
		t.Error("looks or comments are too far between")
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitCondition waits for the system to know.
func awaitCondition(t *testing.T, s *socket, want condition) {
	t.Helper()
	raw, err := s.reader.(*told).conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	probe := newPeer(raw)
	for deadline := time.Now().Add(patience); probe.condition() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the socket is %v, want %v", probe.condition(), want)
		}
	}
}

// TestLookoutForgets: a stream that is over is not looked at, nor one whose socket cannot
// be asked; a socket that this side has closed is as good as left.
func TestLookoutForgets(t *testing.T) {
	server, client := pair(t)
	l, w := newLookout(time.Hour), &told{conn: server}
	defer l.close()
	s := l.watch(server, w)
	s.forget()
	s.forget()
	_ = client.SetLinger(0)
	_ = client.Close()
	l.look()
	if w.left.Load() != 0 || len(l.sockets) != 0 {
		t.Error("what is forgotten is looked at")
	}
	here, there := net.Pipe()
	if s := l.watch(&deadlineConn{Conn: here}, w); s != nil {
		t.Error("a pipe is watched")
	}
	(*socket)(nil).forget()
	_, _ = here.Close(), there.Close()

	server, _ = pair(t)
	w = &told{conn: server}
	l.watch(server, w)
	_ = server.Close()
	l.look()
	if w.left.Load() != 1 {
		t.Error("a socket closed here is not noticed")
	}
}

// lookoutAlone leaves nothing but the lookout to notice a client that has left.
func lookoutAlone(s *setup) { s.server.PingEvery, s.server.LookEvery = time.Hour, 20*time.Millisecond }

// TestGoneInSilence: the provider says nothing, nothing is written, and still who left is
// noticed, the provider told, and what was produced billed.
func TestGoneInSilence(t *testing.T) {
	r := newRig(t, lookoutAlone)
	r.sim.Assign("sim-stall", llmsim.Script{Tokens: 10, End: llmsim.EndStall, After: 5})
	for _, hard := range []bool{false, true} {
		for model, billed := range map[string]bool{"sim-silent": false, "sim-stall": true} {
			id, key := r.account(dollar)
			w := r.begin(key, model)
			if billed {
				w.await(`"content":" five"`)
			}
			w.leave(hard)
			if spent := dollar - r.settled(id); (spent > 0) != billed {
				t.Errorf("%s, hard is %v: spent %d", model, hard, spent)
			}
		}
	}
	testenv.Until(r.t, "the provider is told each time", func() bool {
		told := 0
		for _, q := range r.sim.Requests() {
			if q.Cancelled {
				told++
			}
		}
		return told == 4
	})
	testenv.Until(r.t, "nobody is watched", func() bool {
		r.server.lookout.mu.Lock()
		defer r.server.lookout.mu.Unlock()
		return len(r.server.lookout.sockets) == 0
	})
}

// TestHalfClosedClientsListen: who has nothing more to say still gets the whole answer.
func TestHalfClosedClientsListen(t *testing.T) {
	r := newRig(t, lookoutAlone)
	id, key := r.account(dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 3, FirstToken: 300 * time.Millisecond})
	w := r.send(key, chatBody("paid", `"stream":true`))
	if err := w.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.readHeader()
	w.await(": ping") // by which it was asked
	w.await("[DONE]")
	if r.settled(id); r.completion(id) != 3 || r.estimated(id) {
		t.Errorf("%d tokens", r.completion(id))
	}
	whole := r.send(key, chatBody("paid"))
	if err := whole.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	whole.readHeader()
}

// TestGoneBehindNginx: a proxy passes a client's leaving on as a close of its own.
func TestGoneBehindNginx(t *testing.T) {
	r := newRig(t, lookoutAlone)
	r.sim.Assign("sim-stall", llmsim.Script{Tokens: 10, End: llmsim.EndStall, After: 5})
	front := r.nginx()
	id, key := r.account(dollar)
	direct := r.url
	r.url = front
	w := r.begin(key, "sim-stall")
	w.await(`"content":" five"`)
	w.leave(false)
	r.url = direct
	if spent := dollar - r.settled(id); spent <= 0 || r.ledger(id, 1) != spent {
		t.Errorf("spent %d", spent)
	}
}

// nginx puts one before the server, as it comes, and returns its address.
func (r *rig) nginx() string {
	r.t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // which is not on every user's path
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	front := listener.Addr().String()
	r.must(listener.Close())
	dir := r.t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	r.must(os.WriteFile(file, fmt.Appendf(nil, `daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log stderr error;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; location / { proxy_pass %[3]s; proxy_http_version 1.1; proxy_buffering off; } }
}
`, dir, front, r.url), 0o600))
	var said strings.Builder
	process := exec.Command(path, "-c", file, "-p", dir)
	process.Stderr = &said
	r.must(process.Start())
	r.t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
		if r.t.Failed() {
			r.t.Logf("nginx: %s", said.String())
		}
	})
	testenv.Until(r.t, "nginx accepts", func() bool {
		conn, err := net.Dial("tcp", front)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "http://" + front
}
