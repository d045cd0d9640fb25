package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var errReport = errors.New("ratelimit: a report makes no sense")

// ParseReport reads what the Lua function limits_report returned. The results keep
// the report's memory.
func ParseReport(report string) (Decision, error) {
	first, rest, more := strings.Cut(report, ";")
	denied, err := strconv.Atoi(first)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: begins with %q", errReport, first)
	}
	d := Decision{Allowed: denied == 0, Denied: max(0, denied-1)}
	if more {
		d.Results = make([]Result, 0, 1+strings.Count(rest, ";"))
	}
	for more {
		var entry string
		entry, rest, more = strings.Cut(rest, ";")
		var r Result
		if err := r.parse(entry); err != nil {
			return Decision{}, err
		}
		d.Results = append(d.Results, r)
	}
	if denied < 0 || denied > len(d.Results) {
		return Decision{}, fmt.Errorf("%w: entry %d of %d denies", errReport, denied, len(d.Results))
	}
	return d, nil
}

// parse reads kind|name|scope|max|span_us|remaining|reset_us|at_us|cost|key.
func (r *Result) parse(entry string) error {
	var fields [10]string
	for i := range fields {
		field, after, more := strings.Cut(entry, "|")
		if more != (i < len(fields)-1) {
			return fmt.Errorf("%w: an entry of other than %d fields", errReport, len(fields))
		}
		fields[i], entry = field, after
	}
	var numbers [6]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[3+i], 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: %q is no count", errReport, fields[3+i])
		}
		numbers[i] = n
	}
	var err error
	for _, i := range [...]int{1, 2, 9} {
		if fields[i], err = unescape(fields[i]); err != nil {
			return err
		}
	}
	const mostMicros = int64(1<<63-1) / int64(time.Microsecond)
	if len(fields[0]) != 1 || numbers[1] > mostMicros || numbers[3] > mostMicros {
		return fmt.Errorf("%w: kind %q, %d µs, %d µs", errReport, fields[0], numbers[1], numbers[3])
	}
	r.Kind, r.Name, r.Scope, r.Key = Kind(fields[0][0]), fields[1], fields[2], fields[9]
	r.Max, r.Span, r.Cost = numbers[0], time.Duration(numbers[1])*time.Microsecond, numbers[5]
	r.Remaining, r.Reset, r.At = numbers[2], time.Duration(numbers[3])*time.Microsecond, numbers[4]
	return nil
}

// unescape undoes limits_escape.
func unescape(s string) (string, error) {
	at := strings.IndexByte(s, '%')
	if at < 0 {
		return s, nil
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("%w: %q ends in the middle", errReport, s)
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: %q is not escaped", errReport, s)
		}
		out = append(out, byte(c))
		i += 2
	}
	return string(out), nil
}
