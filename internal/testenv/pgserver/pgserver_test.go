package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// parentVariable makes the test binary a program that starts a durable server
// in the named directory, writes a row and waits to be killed.
const parentVariable = "KIKUAI_TEST_PGSERVER_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m)
}

func beParent(dir string) {
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
	if err != nil {
		panic(err)
	}
	if _, err := conn.Exec(context.Background(), "create table if not exists starts (); insert into starts default values"); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	select {}
}

func TestKilledParentLeavesNoServerAndLosesNoData(t *testing.T) {
	dir := openDir(t)
	const kills = 3
	for range kills { // each start follows at once, while the last server still ends
		parent := exec.Command(os.Args[0], "-test.run=^$")
		parent.Env = append(os.Environ(), parentVariable+"="+dir)
		parent.Stderr = os.Stderr
		out, err := parent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "ready\n" {
			t.Errorf("the parent said %q: %v", line, err)
		}
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait()
	}
	s := start(t, Options{Dir: dir})
	var starts int
	run(t, s.URL("postgres"), "select count(*) from starts", &starts)
	if starts != kills {
		t.Errorf("%d of %d rows are there", starts, kills)
	}
}

func run(t *testing.T, url, statement string, into ...any) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if len(into) == 0 {
		_, err = conn.Exec(ctx, statement)
	} else {
		err = conn.QueryRow(ctx, statement).Scan(into...)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestDurableDataSurvivesRestartAndStaleLockFile(t *testing.T) {
	dir := openDir(t)
	s := start(t, Options{Dir: dir})
	run(t, s.URL("postgres"), "create table kept as select 42 as id")
	var fsync string
	run(t, s.URL("postgres"), "show fsync", &fsync)
	if fsync != "on" {
		t.Errorf("a durable server runs with fsync %s", fsync)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// A lock file whose process id meanwhile belongs to another program: ours.
	lock := filepath.Join(s.Dir(), "data", "postmaster.pid")
	if err := os.WriteFile(lock, []byte("1\n"+filepath.Join(s.Dir(), "data")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := start(t, Options{Dir: dir})
	var id int
	run(t, again.URL("postgres"), "select id from kept", &id)
	if id != 42 {
		t.Fatalf("the restarted server has %d", id)
	}
}

func TestSecondServerOfOneDirectoryIsRefused(t *testing.T) {
	dir := openDir(t)
	first := start(t, Options{Dir: dir})
	link := filepath.Join(openDir(t), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, spelt := range []string{dir, link} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		second, err := Start(ctx, Options{Dir: spelt})
		cancel()
		if err == nil {
			_ = second.Close()
			t.Fatal("two servers run on one directory")
		}
		if !strings.Contains(err.Error(), "in use by process") {
			t.Errorf("the refusal does not say why: %v", err)
		}
	}
	run(t, first.URL("postgres"), "select 1")
}

func TestTemporaryServerLeavesNothing(t *testing.T) {
	s := start(t, Options{})
	var fsync string
	run(t, s.URL("postgres"), "show fsync", &fsync)
	if fsync != "off" {
		t.Errorf("a temporary server runs with fsync %s", fsync)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Fatalf("%s is still there: %v", s.Dir(), err)
	}
}

func TestOtherUsersNeedThePassword(t *testing.T) {
	s := start(t, Options{})
	url := strings.Replace(s.URL("postgres"), s.password, "guess", 1)
	conn, err := pgx.Connect(context.Background(), url)
	if err == nil {
		_ = conn.Close(context.Background())
		t.Fatal("a wrong password was let in")
	}
}

func TestOwnerReaches(t *testing.T) {
	dir := openDir(t)
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := owner{uid: 54321, gid: 54321, other: true}
	for path, want := range map[string]bool{
		dir: true, filepath.Join(dir, "not", "yet"): true,
		closed: false, filepath.Join(closed, "below"): false,
	} {
		if got := stranger.reaches(path); got != want {
			t.Errorf("reaches(%s) = %v", path, got)
		}
	}

	stand := filepath.Join(dir, "stand")
	got, err := stranger.place(filepath.Join(closed, "data"), stand)
	if err != nil || filepath.Dir(got) != stand {
		t.Errorf("a closed directory was placed at %s (%v), want below %s", got, err, stand)
	}
	again, err := stranger.place(filepath.Join(closed, "data"), stand)
	if err != nil || again != got {
		t.Errorf("the same directory was placed at %s and %s (%v)", got, again, err)
	}
	if got, err := stranger.place(filepath.Join(dir, "data"), stand); err != nil || got != filepath.Join(dir, "data") {
		t.Errorf("an open directory was moved to %s (%v)", got, err)
	}
}

// openDir is a directory that another user can walk to; t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kikuai-pgserver-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
