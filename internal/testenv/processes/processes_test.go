package processes

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A name may hold what looks like the end of a name.
func TestParseStat(t *testing.T) {
	got, err := parseStat("4242 (a) b (c) S 17 1 1 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99\n")
	if want := (stat{parent: 17, used: 2 * time.Second, reaped: 500 * time.Millisecond}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "4242 (short) S 1 2", "4242 (no number) S x 1 1 0 -1 1 1 2 3 4 5 6 7 8 9"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// What a child works is its parent's group's, while it lives and after it has ended.
func TestGroup(t *testing.T) {
	const busy = 200 * time.Millisecond
	shell := exec.Command("sh", "-c", `sh -c 'i=0; while :; do i=$((i+1)); done' & read line; kill $!; wait $!; echo ended; read line`)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = shell.Wait()
	})
	group := Group{PID: shell.Process.Pid, Children: true}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		used, err := group.Processor()
		if err != nil {
			t.Fatal(err)
		}
		if used >= busy {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a child that never rests has had %s", used)
		}
	}
	alone, err := Group{PID: group.PID}.Memory()
	if err != nil {
		t.Fatal(err)
	}
	if both, err := group.Memory(); err != nil || both <= alone {
		t.Errorf("with its child it has %d bytes, %v, alone %d", both, err, alone)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ended\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if used, err := group.Processor(); err != nil || used < busy {
		t.Errorf("after its child has ended it has had %s, %v", used, err)
	}
	if used, err := (Group{PID: group.PID}).Processor(); err != nil || used >= busy {
		t.Errorf("by itself it has had %s, %v", used, err)
	}
	if _, err := (Group{PID: 1 << 30}).Processor(); !os.IsNotExist(err) {
		t.Errorf("of no process: %v", err)
	}
}
