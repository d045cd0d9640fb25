// Package child runs a server process that must not outlive the program that
// started it: neither after a clean end, nor after a panic or a kill -9.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// tailBytes bounds what is kept of a child's output for error messages.
	tailBytes = 16 << 10
	// pipeGrace bounds the wait for the output pipe after the child has ended,
	// should one of its own children still hold it open.
	pipeGrace = 2 * time.Second
)

// Process is a started child. Its methods may be called from any goroutine.
type Process struct {
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // of Wait; read only after done is closed
}

// Start starts cmd in a process group of its own, so that a Ctrl-C in the
// terminal reaches the parent alone and the parent ends its children in order.
// Where the system can do it (Linux), the kernel sends onDeath to the child
// when the parent dies. Standard output and error are kept, bounded, for Tail.
func Start(cmd *exec.Cmd, onDeath syscall.Signal) (*Process, error) {
	p := &Process{cmd: cmd, tail: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.tail, p.tail
	cmd.WaitDelay = pipeGrace
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	tieToParent(cmd.SysProcAttr, onDeath)

	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run keeps its thread for the child's whole life: Linux ties the death signal
// to the thread that forked, not to the process.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

// Done is closed when the child has ended and been reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended; nil while it runs or after a clean exit.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Tail returns the end of what the child has printed.
func (p *Process) Tail() string { return p.tail.String() }

// Signal sends sig to the child. A child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !alreadyOver(err) {
		return fmt.Errorf("signal %v to %s: %w", sig, p.cmd.Path, err)
	}
	return nil
}

// Stop asks the child to end with sig, waits for patience, then kills it.
// It returns after the child has ended. It may be called again.
func (p *Process) Stop(sig syscall.Signal, patience time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("%s did not end within %v of %v and was killed", p.cmd.Path, patience, sig)
}

func alreadyOver(err error) bool {
	return errors.Is(err, syscall.ESRCH) || errors.Is(err, os.ErrProcessDone)
}

// tail is a writer that keeps the last tailBytes.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if extra := len(t.buf) - tailBytes; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
