package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"gopkg.in/yaml.v3"
)

const runbookPages = "../../deploy/runbook/*.md"

// elsewhere are commands of the system, which no test can try here beyond how they are
// [spelled], and what prepares a shell for all of them.
func elsewhere() []string {
	return []string{"journalctl ", "kubectl ", "docker compose ", "nginx -t", "df -h", "export ", "kikuai() "}
}

var mentioned = regexp.MustCompile("`(kikuai [^`]+)`")

// runbook tries every command of the runbook's pages on the site, and looks up those that
// are named in passing.
func (s *site) runbook(t *testing.T) {
	pages, err := filepath.Glob(runbookPages)
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages (%v)", len(pages), err)
	}
	tried := map[string]bool{}
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range shellLines(string(raw)) {
			if tried[command] {
				continue
			}
			tried[command] = true
			if err := s.attempt(t, command); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), command, err)
			}
		}
		for _, found := range mentioned.FindAllStringSubmatch(string(raw), -1) {
			if err := known(words(found[1])[1:]); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), found[1], err)
			}
		}
	}
	if len(tried) < 20 {
		t.Errorf("%d commands", len(tried))
	}
}

// shellLines are the commands of a page's blocks.
func shellLines(page string) (lines []string) {
	inside := false
	for line := range strings.SplitSeq(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && line != "":
			lines = append(lines, line)
		}
	}
	return lines
}

// words cuts a command line as a shell does, quotes and all.
func words(line string) (all []string) {
	var word strings.Builder
	quote, begun := byte(0), false
	for i := range len(line) {
		switch b := line[i]; {
		case quote != 0 && b == quote:
			quote = 0
		case quote == 0 && (b == '"' || b == '\''):
			quote, begun = b, true
		case quote == 0 && b == ' ':
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(b)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}

var (
	errNoCommand = errors.New("nobody knows this command")
	errInside    = errors.New("nginx answers 404 there: the listener for operators tells")
	private      = regexp.MustCompile(`\$PUBLIC_URL/(readyz|metrics|performance|debug)`)
)

// spelled says whether a command that cannot be tried here names what there is: our units
// of systemd, services of the containers, the chart's label.
func spelled(line string) error {
	args := words(line)
	switch args[0] {
	case "journalctl":
		for i, arg := range args[:len(args)-1] {
			unit := strings.ReplaceAll(args[i+1], "*", "")
			if arg != "-u" || !strings.HasPrefix(unit, "kikuai") {
				continue
			}
			if _, err := os.Stat("../../deploy/systemd/" + unit + ".service"); err != nil {
				return err
			}
		}
	case "kubectl":
		raw, err := os.ReadFile("../../deploy/helm/kikuai/templates/_helpers.tpl")
		if err != nil {
			return err
		}
		label, value, _ := strings.Cut(args[len(args)-1], "=")
		if args[len(args)-2] != "-l" || !strings.Contains(string(raw), label+": {{") || value != "kikuai" {
			return errNoCommand
		}
	case "docker":
		raw, err := os.ReadFile("../../" + args[3])
		if err != nil {
			return err
		}
		var compose struct{ Services map[string]any }
		if err := yaml.Unmarshal(raw, &compose); err != nil {
			return err
		}
		commands := map[string]bool{"ps": true, "logs": true, "run": true, "up": true, "stop": true}
		if !commands[args[4]] {
			return errNoCommand
		}
		for i, arg := range args[5:] {
			if strings.HasPrefix(arg, "-") || args[4+i] == "--tail" {
				continue
			}
			if _, is := compose.Services[arg]; !is {
				return fmt.Errorf("there is no service %q", arg)
			}
		}
	}
	return nil
}

func TestSpelled(t *testing.T) {
	for line, well := range map[string]bool{
		"journalctl -u 'kikuai@*' -n 50":                                    true,
		"journalctl -u kikuai-backups -n 50":                                false,
		"docker compose -f deploy/compose.yaml logs --tail 50 backup wal":   true,
		"docker compose -f deploy/compose.yaml logs --tail 50 backup walls": false,
		"docker compose -f deploy/composed.yaml ps":                         false,
		"kubectl get pods -l app.kubernetes.io/name=kikuai":                 true,
		"kubectl get pods -l app.kubernetes.io/named=kikuai":                false,
	} {
		if err := spelled(line); (err == nil) != well {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// attempt carries one line out.
func (s *site) attempt(t *testing.T, line string) error {
	for _, beginning := range elsewhere() {
		if strings.HasPrefix(line, beginning) {
			return spelled(line)
		}
	}
	if private.MatchString(line) {
		return errInside
	}
	line, filter, _ := strings.Cut(line, " | grep ")
	line = strings.NewReplacer("$OPS", "http://"+s.env["OPS_ADDR"], "$PUBLIC_URL", s.url,
		"$REDIS_URL", s.redis.URL(), "$DATABASE_URL", s.database).Replace(line)
	args := words(line)
	switch args[0] {
	case "kikuai":
		if err := known(args[1:]); err != nil || strings.Contains(line, "$") {
			return err
		}
		if _, errs, err := s.try(args[1:]...); err != nil {
			return fmt.Errorf("%w: %s", err, errs)
		}
		return nil
	case "curl":
		return s.fetch(args, filter)
	case "redis-cli":
		rest := make([]any, 0, len(args))
		for _, arg := range args[3:] {
			rest = append(rest, arg)
		}
		if err := s.redis.Client().Do(t.Context(), rest...).Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		return nil
	case "psql":
		conn, err := pgx.Connect(t.Context(), s.database)
		if err != nil {
			return err
		}
		_, err = conn.Exec(t.Context(), args[3])
		return errors.Join(err, conn.Close(t.Context()))
	}
	return errNoCommand
}

// fetch is curl, and the grep behind it: a line must be found.
func (s *site) fetch(args []string, filter string) error {
	at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "http://") })
	if at < 0 {
		return errNoCommand
	}
	response, err := s.client.Get(args[at])
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d", response.StatusCode)
	}
	if filter == "" {
		return nil
	}
	for pattern := range strings.SplitSeq(strings.Join(words(strings.TrimPrefix(filter, "-E ")), " "), "|") {
		shape, err := regexp.Compile("(?m)^" + pattern)
		if err != nil {
			return err
		}
		if !shape.MatchString(s.ops("/metrics")) {
			return fmt.Errorf("no line begins with %s", pattern)
		}
	}
	return nil
}

// known looks a command of ours up in the program's own grammar.
func known(args []string) error {
	parser, err := newParser()
	if err != nil {
		return err
	}
	node := parser.Model.Node
	for _, arg := range args {
		if len(node.Children) == 0 || strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "$") {
			break
		}
		at := slices.IndexFunc(node.Children, func(child *kong.Node) bool { return child.Name == arg })
		if at < 0 {
			return fmt.Errorf("there is no %s", arg)
		}
		node = node.Children[at]
	}
	return nil
}
