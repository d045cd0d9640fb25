package bot

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// library is a simulated Telegram with one person in it, and what fetches from it.
type library struct {
	*telegramsim.Server
	t     *testing.T
	files *Files
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	s, err := telegramsim.Start(telegramsim.Options{Token: testToken, Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.User(7, "Ada")
	web := NewHTTPClient()
	t.Cleanup(web.CloseIdleConnections)
	client, err := NewClient(testToken, s.URL(), web)
	if err != nil {
		t.Fatal(err)
	}
	files := NewFiles(client, web)
	files.retry = time.Millisecond
	return &library{Server: s, t: t, files: files}
}

// send sends a document and returns its file's id.
func (l *library) send(a telegramsim.Attachment) string {
	l.t.Helper()
	a.Kind = "document"
	m, err := l.Send(telegramsim.Saying{User: 7, Attach: &a})
	if err != nil {
		l.t.Fatal(err)
	}
	return m.Document.FileID
}

func TestFetch(t *testing.T) {
	l := newLibrary(t)
	content := bytes.Repeat([]byte("word "), 1000)
	id := l.send(telegramsim.Attachment{Name: "a.txt", Data: content})
	got, err := l.files.Fetch(t.Context(), id, FileMost)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err = l.files.Fetch(t.Context(), id, int64(len(content))); err != nil || len(got) != len(content) {
		t.Errorf("just so large: %d bytes, %v", len(got), err)
	}
	for name, c := range map[string]struct {
		file telegramsim.Attachment
		most int64
		want error
	}{
		"larger than wanted":      {telegramsim.Attachment{Data: content}, int64(len(content)) - 1, ErrFileTooLarge},
		"larger than may be":      {telegramsim.Attachment{Data: content, Size: FileMost + 1}, FileMost, ErrFileTooLarge},
		"larger than it is said":  {telegramsim.Attachment{Data: content, Fault: telegramsim.FileEndless}, FileMost, ErrFileTooLarge},
		"not on the servers":      {telegramsim.Attachment{Data: content, Fault: telegramsim.FileUnavailable}, FileMost, ErrFileGone},
		"not where it is said":    {telegramsim.Attachment{Data: content, Fault: telegramsim.FileMissing}, FileMost, ErrFileGone},
		"cut off, however often":  {telegramsim.Attachment{Data: content, Fault: telegramsim.FileCut}, FileMost, ErrTryLater},
		"of another bot's naming": {telegramsim.Attachment{}, FileMost, ErrFileGone},
	} {
		id := "BQACAgIAAxkBAAInowhere"
		if c.file.Data != nil {
			id = l.send(c.file)
		}
		got, err := l.files.Fetch(t.Context(), id, c.most)
		if !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err != nil && (strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "http")) {
			t.Errorf("%s: the error tells the address: %v", name, err)
		}
	}
}

// What passes is tried again, and nobody waits for a file that trickles in for ever.
func TestFetchPersists(t *testing.T) {
	l := newLibrary(t)
	id := l.send(telegramsim.Attachment{Name: "a.txt", Data: []byte("a word")})
	if err := l.SetFaults(telegramsim.Faults{BadGatewayPercent: 100, Methods: []string{"getFile"}}); err != nil {
		t.Fatal(err)
	}
	l.files.retry = 100 * time.Millisecond
	mended := make(chan error, 1)
	go func() {
		_, err := l.WaitCall(t.Context(), func(c telegramsim.Call) bool { return c.Method == "getFile" })
		mended <- errors.Join(err, l.SetFaults(telegramsim.Faults{}))
	}()
	if got, err := l.files.Fetch(t.Context(), id, FileMost); err != nil || string(got) != "a word" {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-mended; err != nil {
		t.Fatal(err)
	}
	slow := l.send(telegramsim.Attachment{Name: "slow.txt", Size: 1 << 20, Data: []byte("a"), Fault: telegramsim.FileSlow})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := l.files.Fetch(ctx, slow, FileMost); !errors.Is(err, context.DeadlineExceeded) || got != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
