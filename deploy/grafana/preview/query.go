package preview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	answerMost = 8 << 20 // bytes
	askIn      = 20 * time.Second
)

// Source is a Prometheus and the time that is drawn.
type Source struct {
	URL      string
	Client   *http.Client
	From, To time.Time
	Step     time.Duration
	Rate     time.Duration // what $__rate_interval stands for
}

// series is one line: its labels, and its values by the steps from From on; NaN is none.
type series struct {
	labels map[string]string
	points []point
}

type point struct {
	at    time.Time
	value float64
}

var errRefused = errors.New("preview: Prometheus refuses an expression")

// ask evaluates an expression over the whole time.
func (s *Source) ask(ctx context.Context, expression string) ([]series, error) {
	ctx, cancel := context.WithTimeout(ctx, askIn)
	defer cancel()
	expression = strings.ReplaceAll(expression, "$__rate_interval", strconv.FormatInt(s.Rate.Milliseconds(), 10)+"ms")
	expression = strings.ReplaceAll(expression, "$instance", ".*")
	query := url.Values{
		"query": {expression}, "start": {unix(s.From)}, "end": {unix(s.To)}, "step": {strconv.FormatFloat(s.Step.Seconds(), 'f', -1, 64)},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/query_range?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, answerMost)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read Prometheus' answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: %s", errRefused, expression, answer.Error)
	}
	all := make([]series, 0, len(answer.Data.Result))
	for _, result := range answer.Data.Result {
		one := series{labels: result.Metric}
		for _, pair := range result.Values {
			at, _ := pair[0].(float64)
			text, _ := pair[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("read Prometheus' answer: %w", err)
			}
			one.points = append(one.points, point{time.UnixMilli(int64(at * 1000)), value})
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b series) int { return strings.Compare(fmt.Sprint(a.labels), fmt.Sprint(b.labels)) })
	return all, nil
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// name fills a legend's {{label}} in.
func (s *series) name(format string) string {
	for label, value := range s.labels {
		format = strings.ReplaceAll(format, "{{"+label+"}}", value)
	}
	return format
}
