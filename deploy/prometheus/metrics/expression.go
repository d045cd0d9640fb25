package metrics

import (
	"fmt"
	"slices"
	"strings"
)

// Checker checks PromQL expressions against metrics and recording rules.
type Checker struct {
	metrics  map[string]Metric
	recorded map[string]bool
}

// NewChecker knows the listed metrics, those that Prometheus and the runtime make, and
// recording rules by their names.
func NewChecker(recorded ...string) *Checker {
	c := &Checker{metrics: List(), recorded: map[string]bool{}}
	for _, m := range aside() {
		c.metrics[m.Name] = m
	}
	for _, name := range recorded {
		c.recorded[name] = true
	}
	return c
}

// words of the language that stand where a metric's name could.
func words() []string {
	return []string{
		"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan",
		"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "group", "stddev", "stdvar", "count_values",
	}
}

// lists are the words that a list of labels follows.
func lists() []string {
	return []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
}

// Check finds the metrics of an expression that nobody shows, and the labels that its
// metrics do not have. It does not parse the expression otherwise: promtool does.
func (c *Checker) Check(expression string) error {
	s := &scanner{text: expression}
	var selected Metric
	var bucket, known bool
	var grouped, available []string
	for {
		token := s.next()
		switch {
		case token == "":
			return c.missing(grouped, available)
		case token == "{":
			for _, label := range s.until("}") {
				if known && !selected.has(label) && (label != "le" || !bucket) {
					return fmt.Errorf("%s has no label %s", selected.Name, label)
				}
			}
		case !isName(token):
		case slices.Contains(lists(), token):
			if s.peek() == "(" {
				s.next()
				grouped = append(grouped, s.until(")")...)
			}
		case s.peek() == "(", slices.Contains(words(), strings.ToLower(token)):
		case c.recorded[token]:
			known = false
			available = append(available, "*")
		default:
			if selected, bucket, known = find(c.metrics, token); !known {
				return fmt.Errorf("no metric is named %s", token)
			}
			available = append(available, selected.Labels...)
			if bucket {
				available = append(available, "le")
			}
		}
	}
}

// missing finds a label that is grouped by and that no metric of the expression has.
func (c *Checker) missing(grouped, available []string) error {
	if slices.Contains(available, "*") {
		return nil // the rule's own expression was checked
	}
	for _, label := range grouped {
		if label != "job" && label != "instance" && !slices.Contains(available, label) {
			return fmt.Errorf("no metric here has a label %s", label)
		}
	}
	return nil
}

// scanner cuts an expression into names, strings, numbers and signs.
type scanner struct {
	text string
	at   int
}

func (s *scanner) peek() string {
	at := s.at
	token := s.next()
	s.at = at
	return token
}

func (s *scanner) next() string {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
	if s.at >= len(s.text) {
		return ""
	}
	from := s.at
	switch b := s.text[from]; {
	case b == '"' || b == '\'' || b == '`':
		for s.at++; s.at < len(s.text) && s.text[s.at] != b; s.at++ {
			if s.text[s.at] == '\\' {
				s.at++
			}
		}
		s.at = min(s.at+1, len(s.text))
	case b == '$' || isWord(b): // a name, a number, a duration, or a variable of Grafana's
		for s.at++; s.at < len(s.text) && isWord(s.text[s.at]); s.at++ {
		}
	default:
		s.at++
	}
	return s.text[from:s.at]
}

// until takes what comes up to a sign and returns the names in it.
func (s *scanner) until(end string) (names []string) {
	for {
		token := s.next()
		if token == "" || token == end {
			return names
		}
		if isName(token) {
			names = append(names, token)
		}
	}
}

func isWord(b byte) bool {
	return b == '_' || b == ':' || b == '.' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func isName(token string) bool {
	b := token[0]
	return b == '_' || b == ':' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
