package nginx_test

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// taker is a server that takes whole requests and goes away without an answer.
type taker struct {
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	taken map[string]int // by method
}

func newTaker(t *testing.T) *taker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &taker{listener: listener, taken: map[string]int{}}
	k.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			k.work.Go(func() { k.take(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		k.work.Wait()
	})
	return k
}

func (k *taker) take(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	k.mu.Lock()
	k.taken[request.Method]++
	k.mu.Unlock()
}

func (k *taker) count(method string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.taken[method]
}

// TestDeadServer: a server that is not there costs nobody an answer, to a POST either: it
// was never given to it.
func TestDeadServer(t *testing.T) {
	b := newBehind(t, nil)
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{closed(t), b.address(), closed(t)}})
	r := &rig{t: t, front: front, behind: b, client: front.Client()}
	for i := range 30 {
		body := strconv.Itoa(i)
		if a := r.do("POST", "/v1/chat/completions", body); a.status != http.StatusOK || b.last(t).body != body {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	if n := len(b.requests()); n != 30 {
		t.Errorf("30 calls came to %d", n)
	}
}

// TestNoSecondPost: a call that a server took and did not answer may have been paid for. It
// is not given to another; what only reads is.
func TestNoSecondPost(t *testing.T) {
	b, k := newBehind(t, nil), newTaker(t)
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{k.listener.Addr().String(), b.address()}})
	r := &rig{t: t, front: front, behind: b, client: front.Client()}
	posts, refused := 0, 0
	testenv.Until(t, "some calls were taken and not answered", func() bool {
		posts++
		a := r.do("POST", "/v1/chat/completions", strconv.Itoa(posts))
		switch a.status {
		case http.StatusOK:
		case http.StatusServiceUnavailable:
			refused++
			r.told("/v1/chat/completions", a)
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
		return k.count("POST") >= 3
	})
	if k.count("POST") != refused || len(b.requests()) != posts-refused {
		t.Errorf("of %d calls %d were refused; one server took %d, the other %d", posts, refused, k.count("POST"), len(b.requests()))
	}
	testenv.Until(t, "a request to read was taken and not answered", func() bool {
		if a := r.do("GET", "/v1/models", ""); a.status != http.StatusOK {
			t.Fatalf("a request that only reads: %d", a.status)
		}
		return k.count("GET") > 0
	})
}

// TestSpread: servers share what comes, and connections to them are kept.
func TestSpread(t *testing.T) {
	all := []*behind{newBehind(t, nil), newBehind(t, nil), newBehind(t, nil)}
	var addresses []string
	for _, b := range all {
		addresses = append(addresses, b.address())
	}
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: addresses, Variables: map[string]string{"FRONT_WORKERS": "1"}})
	r := &rig{t: t, front: front, client: front.Client()}
	for range 90 {
		if a := r.do("GET", "/health", ""); a.status != http.StatusOK {
			t.Fatal(a.status)
		}
	}
	for i, b := range all {
		if n := len(b.requests()); n < 20 {
			t.Errorf("server %d was asked %d times of 90", i, n)
		}
	}
}
