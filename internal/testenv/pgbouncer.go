package testenv

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	bouncerIn   = 10 * time.Second
	bouncerPoll = 20 * time.Millisecond
	// nobody runs PgBouncer where root would, which it refuses.
	nobody = 65534
)

const bouncerSettings = `
[databases]
%[1]s = host=%[2]s port=%[3]s user=%[4]s password='%[5]s'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[6]d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
`

// PgBouncer runs a pooler in transaction mode before the database of a URL, with that
// URL's user, and returns the URL that leads through it. It ends with the test.
func PgBouncer(t testing.TB, databaseURL string) string {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		if binary = "/usr/sbin/pgbouncer"; !executable(binary) {
			t.Fatal("testenv: pgbouncer is not installed: apt-get install pgbouncer (macOS: brew install pgbouncer)")
		}
	}
	target, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	for range 5 {
		through, err := startBouncer(t, binary, target)
		if err == nil {
			return through
		}
		t.Logf("testenv: PgBouncer: %v", err) // its port may have been taken meanwhile
	}
	t.Fatal("testenv: PgBouncer does not start")
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func startBouncer(t testing.TB, binary string, target *url.URL) (through string, err error) {
	port, err := child.FreePort()
	if err != nil {
		return "", err
	}
	password, _ := target.User.Password()
	name := filepath.Base(target.Path)
	file := filepath.Join(os.TempDir(), "kikuai-pgbouncer-"+strconv.Itoa(port)+".ini")
	settings := fmt.Sprintf(bouncerSettings, name, target.Hostname(), target.Port(), target.User.Username(), password, port)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = os.Remove(file) })
	cmd := exec.Command(binary, file)
	if os.Geteuid() == 0 {
		if err := os.Chown(file, nobody, nobody); err != nil {
			return "", err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGTERM, bouncerIn); err != nil {
			t.Errorf("testenv: end PgBouncer: %v", err)
		}
	})
	u := *target
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	query := u.Query()
	query.Set("default_query_exec_mode", "exec") // as deploy/.env.example says
	u.RawQuery = query.Encode()
	return u.String(), awaitBouncer(u.String(), process)
}

func awaitBouncer(at string, process *child.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), bouncerIn)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, at)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-process.Done():
			return fmt.Errorf("it ended: %w\n%s", err, process.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", err, process.Tail())
		case <-time.After(bouncerPoll):
		}
	}
}
