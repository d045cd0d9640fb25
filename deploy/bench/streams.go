package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/processes"
)

const (
	flowModel   = "flow"
	flowTokens  = 20
	flowCadence = 50 * time.Millisecond // of tokens: a stream lasts a second
	heldModel   = "held"
	heldStreams = 2000
	heldFor     = 10 * time.Second
	heldCadence = time.Second
	openIn      = time.Minute // for all of them to flow
	openingMost = 64          // held streams that are being opened at a time
	openAgain   = 5           // times that one is which a busy server has refused
	goal50      = "≤ 1 ms"
	goal99      = "≤ 5 ms"
	goalMemory  = "< 256 MB"
)

// serveFlow streams completions: the first token at once, the others at a pace. A model
// "held" goes on until its client leaves.
func (s *site) serveFlow() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(flow)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.closers = append(s.closers, func() error {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return "http://" + listener.Addr().String(), nil
}

var (
	flowChunk = []byte(`data: {"id":"chatcmpl-flow","object":"chat.completion.chunk","created":1,"model":"flow","choices":[{"index":0,"delta":{"content":" the"},"logprobs":null,"finish_reason":null}]}` + "\n\n")
	flowEnd   = []byte(`data: {"id":"chatcmpl-flow","object":"chat.completion.chunk","created":1,"model":"flow","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"chatcmpl-flow","object":"chat.completion.chunk","created":1,"model":"flow","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":20,"total_tokens":29}}` + "\n\ndata: [DONE]\n\n")
)

func flow(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	tokens, cadence := flowTokens, flowCadence
	if bytes.Contains(body, []byte(`"model":"`+heldModel+`"`)) {
		tokens, cadence = 1<<30, heldCadence
	}
	flusher, _ := w.(http.Flusher)
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(cadence)
	defer tick.Stop()
	for range tokens {
		if _, err := w.Write(flowChunk); err != nil {
			return
		}
		flusher.Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = w.Write(flowEnd) // a client that has left need not be told
}

// listener is a client of streams, of kikuai or of the upstream itself.
type listener struct {
	client *http.Client
	url    string
	key    string
}

func newListener(url, key string, streams int) listener {
	return listener{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streams}}, url, key}
}

// first begins a stream and says how long its first token took. The rest is to be read.
func (l listener) first(ctx context.Context, model string) (io.ReadCloser, *bufio.Reader, time.Duration, error) {
	body := `{"model":"` + model + `","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"How do I read a file line by line in Go?"}]}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, nil, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+l.key)
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := l.client.Do(request)
	if err != nil {
		return nil, nil, 0, err
	}
	lines := bufio.NewReader(response.Body)
	line, err := lines.ReadString('\n')
	took := time.Since(began)
	if err == nil && response.StatusCode == http.StatusServiceUnavailable {
		return nil, nil, 0, errors.Join(errRefused, fmt.Errorf("status %d: %s", response.StatusCode, line), response.Body.Close())
	}
	if err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(line, "data: ") {
		return nil, nil, 0, errors.Join(fmt.Errorf("status %d: %s", response.StatusCode, line), err, response.Body.Close())
	}
	return response.Body, lines, took, nil
}

// errRefused is an answer of 503: nothing was begun, and a client may try again soon.
var errRefused = errors.New("the server is too busy")

// opened begins a stream as a client's library does: refused, it tries again a while later.
func (l listener) opened(ctx context.Context, model string) (body io.ReadCloser, lines *bufio.Reader, err error) {
	for range openAgain {
		if body, lines, _, err = l.first(ctx, model); !errors.Is(err, errRefused) {
			return body, lines, err
		}
		select {
		case <-time.After(time.Second): // what Retry-After says
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	return nil, nil, err
}

// flowing keeps so many streams going for a time and samples their first tokens.
func (l listener) flowing(ctx context.Context, streams int, length time.Duration) (sample, error) {
	took := make([][]time.Duration, streams)
	failures := make([]error, streams)
	began := time.Now()
	var group sync.WaitGroup
	for i := range streams {
		group.Go(func() {
			pause := time.NewTimer(time.Duration(i) * time.Second / time.Duration(streams)) // not all at once
			defer pause.Stop()
			<-pause.C
			for time.Since(began) < length && failures[i] == nil {
				body, rest, first, err := l.first(ctx, flowModel)
				if err == nil {
					_, err = io.Copy(io.Discard, rest)
					err = errors.Join(err, body.Close())
				}
				took[i], failures[i] = append(took[i], first), err
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		return sample{}, err
	}
	return sampleOf(took, time.Since(began))
}

// held opens many streams that go on, so many at a time as one machine can that is client
// and server at once, and returns the process' memory, in bytes, once all flow and a while
// later, whichever is more.
func (l listener) held(ctx context.Context, streams int, pid int) (int64, error) {
	ctx, leave := context.WithCancel(ctx)
	defer l.client.CloseIdleConnections()
	var group sync.WaitGroup
	defer group.Wait()
	defer leave()
	var flowing atomic.Int64
	failed := make(chan error, streams)
	opening := make(chan struct{}, openingMost)
	all := make(chan struct{})
	for range streams {
		group.Go(func() {
			opening <- struct{}{}
			body, rest, err := l.opened(ctx, heldModel)
			<-opening
			if err != nil {
				failed <- err
				return
			}
			if flowing.Add(1) == int64(streams) {
				close(all)
			}
			_, _ = io.Copy(io.Discard, rest) // until this side leaves
			_ = body.Close()
		})
	}
	patience := time.NewTimer(openIn)
	defer patience.Stop()
	select {
	case <-all:
	case err := <-failed:
		return 0, err
	case <-patience.C:
		return 0, fmt.Errorf("%d of %d streams flow after %s", flowing.Load(), streams, openIn)
	}
	most := int64(0)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(heldFor); time.Now().Before(end); <-tick.C {
		now, err := processes.Resident(pid)
		if err != nil {
			return 0, err
		}
		most = max(most, now)
	}
	return most, nil
}

// measureStreams compares streams through kikuai with the same from the upstream itself.
func measureStreams(ctx context.Context, rounds int, length time.Duration, _ int) (string, error) {
	site, err := build(ctx, "")
	if err != nil {
		return "", err
	}
	defer site.close()
	var b strings.Builder
	b.WriteString("| streams | first token directly, p50 | p99 | through kikuai, p50 | p99 | added, p50 | p99 | goal |\n|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for _, streams := range []int{1, 64, 256} {
		direct, through := newListener(site.flow, "", streams), newListener(site.kikuai, site.key, streams)
		var theirs, ours []sample
		for round := range rounds + 1 {
			for _, side := range []struct {
				listener listener
				samples  *[]sample
			}{{direct, &theirs}, {through, &ours}} {
				got, err := side.listener.flowing(ctx, streams, length)
				if err != nil {
					return "", fmt.Errorf("%d streams: %w", streams, err)
				}
				if round > 0 { // the first one opens the connections
					*side.samples = append(*side.samples, got)
				}
			}
		}
		direct.client.CloseIdleConnections()
		through.client.CloseIdleConnections()
		added50, added99 := added(ours, theirs)
		d, k := medianSample(theirs), medianSample(ours)
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | **%s** | **%s** | %s, %s |\n", streams,
			fine(d.p50), fine(d.p99), fine(k.p50), fine(k.p99), fine(added50), fine(added99), goal50, goal99)
	}
	idle, err := processes.Resident(site.kikuaiPID)
	if err != nil {
		return "", err
	}
	most, err := newListener(site.kikuai, site.key, heldStreams).held(ctx, heldStreams, site.kikuaiPID)
	if err != nil {
		return "", fmt.Errorf("%d streams held: %w", heldStreams, err)
	}
	fmt.Fprintf(&b, "\n%d streams at a time: **%d MB** of resident memory, %d MB before, goal %s.\n", heldStreams, most>>20, idle>>20, goalMemory)
	fmt.Fprintf(&b, "\nMedians of %d rounds of %s in turn; each stream has %d tokens, one every %s. %s", rounds, length, flowTokens, flowCadence, machine())
	return b.String(), nil
}

// added is what the way through kikuai adds, round by round: a machine whose speed drifts
// moves both halves of a round.
func added(ours, theirs []sample) (p50, p99 time.Duration) {
	var half, tail []time.Duration
	for i := range ours {
		half, tail = append(half, ours[i].p50-theirs[i].p50), append(tail, ours[i].p99-theirs[i].p99)
	}
	slices.Sort(half)
	slices.Sort(tail)
	return half[len(half)/2], tail[len(tail)/2]
}

func fine(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
