package telemetry

import (
	"sync"
	"time"
)

// promptIn is how long who shows a number waits for it: of a scrape a small part, even
// where several numbers are late.
const promptIn = 50 * time.Millisecond

// Promptly returns ask for those who cannot wait. It tells what ask tells; where that takes
// longer than 50 ms it tells what was told last, or the zero value before the first time.
// One ask runs at a time, however many want to know, and it ends in its own time.
func Promptly[T any](ask func() T) func() T {
	return (&prompt[T]{ask: ask}).tell
}

type prompt[T any] struct {
	ask func() T

	mu      sync.Mutex
	told    T
	running chan struct{} // closed when the ask under way has told; nil: none is
}

func (p *prompt[T]) tell() T {
	p.mu.Lock()
	if p.running == nil {
		p.running = make(chan struct{})
		go p.run(p.running)
	}
	running := p.running
	p.mu.Unlock()
	patience := time.NewTimer(promptIn)
	defer patience.Stop()
	select {
	case <-running:
	case <-patience.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

func (p *prompt[T]) run(done chan struct{}) {
	told := p.ask()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told, p.running = told, nil
	close(done)
}
