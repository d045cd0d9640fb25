package gateway

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/billing"
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

// BenchmarkAdmit is the script of a paid call alone: what it costs Redis in processor time,
// for a key with one request window and for none of its account's. Whatever else Redis does
// meanwhile is in it.
func BenchmarkAdmit(b *testing.B) {
	r := newRig(b)
	id, token := r.account(1_000_000 * dollar)
	key, err := r.desk.Keys.Parse(token)
	r.must(err)
	who := caller{account: id, key: &key}
	ctx := b.Context()
	before := r.processor()
	for b.Loop() {
		_, err := r.meter.gate.admit(ctx, who, reservation{holdID: newHoldID(), fingerprint: billing.SourceAPI, want: 1, least: 1, life: holdLife})
		r.must(err)
	}
	b.ReportMetric((r.processor()-before)*1e6/float64(b.N), "redis-cpu-µs/op")
}

// processor is how many seconds of it Redis has used.
func (r *rig) processor() (seconds float64) {
	r.t.Helper()
	for line := range strings.Lines(r.client.Info(r.t.Context(), "cpu").Val()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			n, err := strconv.ParseFloat(value, 64)
			r.must(err)
			seconds += n
		}
	}
	return seconds
}
