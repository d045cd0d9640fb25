package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/child"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
)

const (
	deployDir   = "../../deploy"
	hostingIn   = time.Minute // for each program to start or end
	hostingPoll = 50 * time.Millisecond
	bouncerUser = 65534 // PgBouncer refuses to be root
	deadIn      = 10 * time.Second
)

// hosting is a site on one host as deploy/ makes it: secrets of prepare.sh, Redis and
// PgBouncer by their start.sh, Postgres with the roles of roles.sql, and the program with
// nothing but *_FILE. All of it on loopback.
type hosting struct {
	*site
	dir      string // others may enter it; everything lies in it
	secrets  string
	postgres *pgserver.Server
	bouncer  *child.Process
	store    *redis.Client
}

func newHosting(t *testing.T) *hosting {
	t.Helper()
	h := &hosting{site: newSite(t)}
	var err error
	if h.dir, err = os.MkdirTemp(pgserver.TemporaryParent(""), "kikuai-hosting-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(h.dir) })
	h.secrets = filepath.Join(h.dir, "deploy", "secrets")
	h.must(os.Chmod(h.dir, 0o755))
	for _, dir := range []string{"deploy", "backups"} {
		h.must(os.Mkdir(filepath.Join(h.dir, dir), 0o755))
	}
	h.script([]string{"PREPARE_DIR=" + filepath.Join(h.dir, "deploy")}, nil, deployDir+"/prepare.sh", "--name", "bot.example.org")
	// Where the checkout lies need not be open to the users that these run as.
	for _, name := range []string{"postgres", "pgbouncer"} {
		h.must(os.CopyFS(filepath.Join(h.dir, name), os.DirFS(filepath.Join(deployDir, name))))
	}
	h.startRedis()
	h.postgres = h.startPostgres("books")
	h.createDatabase()
	h.startBouncer()

	h.moveTo("owner_url", h.address(h.postgres))
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "KEY_PEPPER"} {
		delete(h.env, name)
	}
	h.env["KEY_PEPPER_FILE"] = filepath.Join(h.secrets, "key_pepper")
	h.env["DATABASE_URL_FILE"] = filepath.Join(h.secrets, "owner_url")
	h.command("migrate")
	h.env["DATABASE_URL_FILE"] = filepath.Join(h.secrets, "database_url")
	return h
}

func (h *hosting) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// script runs one of deploy's scripts to its end, as a user of its own or as ours, and
// returns what it said.
func (h *hosting) script(env []string, as *syscall.Credential, path string, args ...string) string {
	h.t.Helper()
	out, err := h.tryScript(env, as, path, args...)
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", filepath.Base(path), err, out)
	}
	return out
}

func (h *hosting) tryScript(env []string, as *syscall.Credential, path string, args ...string) (string, error) {
	cmd, err := h.program(env, as, path, args...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// program is a program or a script, which need not be executable in a copy of the tree.
func (h *hosting) program(env []string, as *syscall.Credential, path string, args ...string) (*exec.Cmd, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".sh") {
		path, args = "bash", append([]string{path}, args...)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = h.dir, append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd, nil
}

// launch runs a program that ends with the test.
func (h *hosting) launch(env []string, as *syscall.Credential, path string, args ...string) *child.Process {
	h.t.Helper()
	cmd, err := h.program(env, as, path, args...)
	h.must(err)
	process, err := child.Start(cmd, syscall.SIGKILL)
	h.must(err)
	h.t.Cleanup(func() { _ = process.Stop(syscall.SIGINT, hostingIn) })
	return process
}

func (h *hosting) await(process *child.Process, ready func(ctx context.Context) bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), hostingIn)
	defer cancel()
	h.must(process.Await(ctx, hostingPoll, ready))
}

// moveTo replaces the server of a secret's URL, which prepare.sh names as the containers
// do, by where it is here.
func (h *hosting) moveTo(name, here string) {
	h.t.Helper()
	path := filepath.Join(h.secrets, name)
	raw, err := os.ReadFile(path)
	h.must(err)
	text := string(raw)
	at := strings.Index(text, "@") + 1
	end := at + strings.Index(text[at:], "/")
	if at == 0 || end < at {
		h.t.Fatalf("%s holds no URL", name)
	}
	h.must(os.Remove(path))
	h.must(os.WriteFile(path, []byte(text[:at]+here+text[end:]), 0o400))
}

func (h *hosting) startRedis() {
	h.t.Helper()
	port, err := child.FreePort()
	h.must(err)
	dir := filepath.Join(h.dir, "redis-data")
	h.must(os.Mkdir(dir, 0o755))
	address := "127.0.0.1:" + strconv.Itoa(port)
	h.moveTo("redis_url", address)
	h.env["REDIS_URL_FILE"] = filepath.Join(h.secrets, "redis_url")
	raw, err := os.ReadFile(h.env["REDIS_URL_FILE"])
	h.must(err)
	options, err := redis.ParseURL(string(raw))
	h.must(err)
	process := h.launch([]string{"PASSWORD_FILE=" + filepath.Join(h.secrets, "redis_password")}, nil, deployDir+"/redis/start.sh",
		"redis.conf", "bind", "127.0.0.1", "port", strconv.Itoa(port), "dir", dir, "maxmemory", "100mb")
	h.store = redis.NewClient(options)
	h.t.Cleanup(func() { _ = h.store.Close() })
	h.await(process, func(ctx context.Context) bool {
		conn, err := net.Dial("tcp", address) // the client would say each time that it cannot
		return err == nil && conn.Close() == nil && h.store.Ping(ctx).Err() == nil
	})
	// Else stopping it would stop a shell and leave Redis.
	if running := h.store.InfoMap(h.t.Context(), "server").Item("Server", "process_id"); running != strconv.Itoa(process.PID()) {
		h.t.Errorf("Redis is process %q, and %d was started", running, process.PID())
	}
}

// startPostgres runs a durable server on a folder of ours, which it makes where there is
// none, and waits until it takes writes.
func (h *hosting) startPostgres(name string) *pgserver.Server {
	h.t.Helper()
	server, err := pgserver.Start(h.t.Context(), pgserver.Options{Dir: filepath.Join(h.dir, name)})
	h.must(err)
	h.t.Cleanup(func() { _ = server.Close() })
	h.until(hostingIn, "taking writes", func() bool {
		conn, err := pgx.Connect(h.t.Context(), server.URL("postgres"))
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(context.Background()) }()
		var recovering bool
		err = conn.QueryRow(h.t.Context(), "select pg_is_in_recovery()").Scan(&recovering)
		return err == nil && !recovering
	})
	return server
}

func (h *hosting) address(server *pgserver.Server) string {
	h.t.Helper()
	config, err := pgx.ParseConfig(server.URL("kikuai"))
	h.must(err)
	return fmt.Sprintf("%s:%d", config.Host, config.Port)
}

// postgresUser is who runs Postgres here.
func (h *hosting) postgresUser() *syscall.Credential {
	h.t.Helper()
	info, err := os.Stat(filepath.Join(h.postgres.Dir(), "data"))
	h.must(err)
	stat := info.Sys().(*syscall.Stat_t)
	if int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

// startBouncer puts PgBouncer before the Postgres of now.
func (h *hosting) startBouncer() {
	h.t.Helper()
	if h.bouncer != nil {
		h.must(h.bouncer.Stop(syscall.SIGTERM, hostingIn))
	}
	port, err := child.FreePort()
	h.must(err)
	runtime, err := os.MkdirTemp(h.dir, "bouncer-")
	h.must(err)
	password := h.copySecret("server_password", runtime)
	var as *syscall.Credential
	if os.Geteuid() == 0 {
		as = &syscall.Credential{Uid: bouncerUser, Gid: bouncerUser}
		h.must(os.Chown(runtime, bouncerUser, bouncerUser))
		h.must(os.Chown(password, bouncerUser, bouncerUser))
	}
	host, at, _ := strings.Cut(h.address(h.postgres), ":")
	h.bouncer = h.launch([]string{
		"SERVER_PASSWORD_FILE=" + password, "RUNTIME_DIR=" + runtime, "PGBOUNCER_INI=" + filepath.Join(h.dir, "pgbouncer/pgbouncer.ini"),
		"DATABASE_HOST=" + host, "DATABASE_PORT=" + at, "LISTEN_HOST=127.0.0.1", "LISTEN_PORT=" + strconv.Itoa(port),
	}, as, filepath.Join(h.dir, "pgbouncer/start.sh"))
	h.moveTo("database_url", "127.0.0.1:"+strconv.Itoa(port))
	url, err := os.ReadFile(filepath.Join(h.secrets, "database_url"))
	h.must(err)
	h.await(h.bouncer, func(ctx context.Context) bool {
		conn, err := pgx.Connect(ctx, string(url))
		return err == nil && conn.Close(ctx) == nil
	})
}

// copySecret puts a copy of a secret where another user may be given it.
func (h *hosting) copySecret(name, dir string) (path string) {
	h.t.Helper()
	raw, err := os.ReadFile(filepath.Join(h.secrets, name))
	h.must(err)
	path = filepath.Join(dir, name)
	h.must(os.WriteFile(path, raw, 0o400))
	return path
}

// createDatabase makes the database and its roles.
func (h *hosting) createDatabase() {
	h.t.Helper()
	at, err := url.Parse(h.postgres.URL("kikuai"))
	h.must(err)
	binaries, err := pgserver.System()
	h.must(err)
	password, _ := at.User.Password()
	h.script([]string{
		"PGBIN=" + binaries, "PGHOST=" + at.Hostname(), "PGPORT=" + at.Port(), "PGUSER=" + at.User.Username(), "PGPASSWORD=" + password,
	}, nil, filepath.Join(h.dir, "postgres/create.sh"), h.secrets)
}

// psql runs one of deploy/postgres' files.
func (h *hosting) psql(url, file string) {
	h.t.Helper()
	binaries, err := pgserver.System()
	h.must(err)
	h.script(nil, nil, filepath.Join(binaries, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", filepath.Join(h.dir, "postgres", file))
}

// attempt executes a statement.
func (h *hosting) attempt(url, statement string) error {
	conn, err := pgx.Connect(h.t.Context(), url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(h.t.Context(), statement)
	return err
}

// login is the URL of one of roles.sql's roles.
func (h *hosting) login(role string) string {
	h.t.Helper()
	password, err := os.ReadFile(filepath.Join(h.secrets, role+"_password"))
	h.must(err)
	return fmt.Sprintf("postgres://kikuai_%s:%s@%s/kikuai?sslmode=disable", role, password, h.address(h.postgres))
}

// crash ends Postgres as a power cut would, and takes its disk.
func (h *hosting) crash() {
	h.t.Helper()
	data := filepath.Join(h.postgres.Dir(), "data")
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	h.must(err)
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	h.must(err)
	h.must(syscall.Kill(pid, syscall.SIGQUIT))
	h.until(deadIn, "dead", func() bool { return h.attempt(h.postgres.URL("postgres"), "select 1") != nil })
	h.must(h.postgres.Close())
	h.must(os.RemoveAll(data))
}
