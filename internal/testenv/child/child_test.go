package child

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const parentVariable = "KIKUAI_TEST_CHILD_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		beParent()
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a child, prints its id and waits to be killed.
func beParent() {
	p, err := Start(exec.Command("sleep", "600"), syscall.SIGKILL)
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(strconv.Itoa(p.PID()) + "\n")
	select {}
}

func TestKilledParentLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux tells a child that its parent was killed")
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^$")
	parent.Env = append(os.Environ(), parentVariable+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for deadline := time.Now().Add(5 * time.Second); running(pid); runtime.Gosched() {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlived its killed parent")
		}
	}
}

// running is false for a process that is gone or waits to be reaped.
func running(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	p, err := Start(exec.Command("sh", "-c", `trap "" TERM; echo deaf; while :; do sleep 0.05; done`), syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); p.Tail() != "deaf\n"; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("the child printed %q", p.Tail())
		}
	}
	if err := p.Stop(syscall.SIGTERM, 50*time.Millisecond); err == nil {
		t.Error("a killed child was reported as one that ended")
	}
	if err := p.Stop(syscall.SIGTERM, 50*time.Millisecond); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	if p.Err() == nil {
		t.Error("Err is nil after a kill")
	}
}

func TestStartOfMissingBinary(t *testing.T) {
	if _, err := Start(exec.Command("/does/not/exist"), syscall.SIGKILL); err == nil {
		t.Fatal("no error")
	}
}

func TestTailIsBounded(t *testing.T) {
	w := &tail{}
	for range 100 {
		if _, err := w.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if got := w.String(); len(got) != tailBytes || !strings.HasSuffix(got, "end") {
		t.Errorf("%d bytes kept, ending in %q", len(got), got[len(got)-5:])
	}
}
