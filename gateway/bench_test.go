package gateway

import (
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// BenchmarkCompletion is a paid, unstreamed call over sockets, everything included.
func BenchmarkCompletion(b *testing.B) {
	r := newRig(b)
	_, key := r.account(1_000_000 * dollar)
	client := &fasthttp.Client{MaxConnsPerHost: 256, MaxIdleConnDuration: 100 * time.Millisecond, Dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }}
	b.Cleanup(client.CloseIdleConnections)
	body := []byte(chatBody("sim-instant", `"max_tokens":8`))
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(request)
		defer fasthttp.ReleaseResponse(response)
		request.SetRequestURI(r.url + "/v1/chat/completions")
		request.Header.SetMethod("POST")
		request.Header.Set("Authorization", "Bearer "+key)
		for p.Next() {
			request.SetBodyRaw(body)
			if err := client.Do(request, response); err != nil {
				b.Error(err)
				return
			}
			if response.StatusCode() != 200 {
				b.Errorf("%d %s", response.StatusCode(), response.Body())
				return
			}
		}
	})
}
