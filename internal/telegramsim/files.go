package telegramsim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MaxDownload is the largest file that a bot can fetch, in bytes (Client.h: MAX_DOWNLOAD_FILE_SIZE).
const MaxDownload = 20 << 20

const (
	maxKept      = 256 << 20 // bytes of contents in memory; beyond it the oldest cannot be fetched any more
	slowChunk    = 512       // bytes that a slow file gives…
	slowInterval = 100 * time.Millisecond
	endlessBytes = 64 << 20 // what an endless file gives before even it ends
)

// FileFault says how fetching a file goes wrong.
type FileFault string

// The ways.
const (
	FileFine        FileFault = ""
	FileUnavailable FileFault = "unavailable" // getFile refuses
	FileMissing     FileFault = "missing"     // the download is 404
	FileCut         FileFault = "cut"         // the connection ends after half of it
	FileSlow        FileFault = "slow"        // about 5 kB a second
	FileEndless     FileFault = "endless"     // more comes than was announced
)

func (f FileFault) known() bool {
	switch f {
	case FileFine, FileUnavailable, FileMissing, FileCut, FileSlow, FileEndless:
		return true
	}
	return false
}

// file is one on Telegram's servers.
type file struct {
	ID     string    `json:"id"`
	Unique string    `json:"unique"`
	Path   string    `json:"path"`
	Size   int64     `json:"size"` // bytes, as announced; what is missing of them in data is zeros
	Name   string    `json:"name,omitempty"`
	MIME   string    `json:"mime,omitempty"`
	Kind   string    `json:"kind"` // of the attachment
	Width  int       `json:"width,omitempty"`
	Height int       `json:"height,omitempty"`
	Time   int       `json:"time,omitempty"` // seconds
	Fault  FileFault `json:"fault,omitempty"`

	data []byte // nil where it is on disk, or dropped
	gone bool
	open bool // getFile was called: the path can be fetched
}

func (f *file) ref() FileRef { return FileRef{FileID: f.ID, FileUniqueID: f.Unique, FileSize: f.Size} }

// library keeps files, under a lock of its own.
type library struct {
	mu    sync.Mutex
	bot   int64
	dir   string // where contents are kept; "" = memory
	next  int64
	byID  map[string]*file
	order []*file // oldest first
	kept  int64   // bytes in memory
}

func newLibrary(bot int64, dataFile string) *library {
	l := &library{bot: bot, byID: map[string]*file{}}
	if dataFile != "" {
		l.dir = dataFile + ".files"
	}
	return l
}

// shelves are how the servers call files of a kind: the beginning of their ids, their folder and their usual end.
var shelves = map[string]struct{ mark, folder, end string }{
	"photo":      {"AgACAgIAAxkBAAI", "photos", ".jpg"},
	"document":   {"BQACAgIAAxkBAAI", "documents", ""},
	"voice":      {"AwACAgIAAxkBAAI", "voice", ".oga"},
	"audio":      {"CQACAgIAAxkBAAI", "music", ".mp3"},
	"video":      {"BAACAgIAAxkBAAI", "videos", ".mp4"},
	"animation":  {"CgACAgIAAxkBAAI", "animations", ".mp4"},
	"video_note": {"DQACAgIAAxkBAAI", "video_notes", ".mp4"},
}

// add gives a file its names and keeps it. size is at least that of data.
func (l *library) add(f file, data []byte) (*file, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shelf := shelves[f.Kind]
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(l.bot)), uint64(l.next)))
	name := base64.RawURLEncoding.EncodeToString(sum[:])
	f.ID, f.Unique = shelf.mark+name, "AQAD"+name[:11]
	end := shelf.end
	if given := path.Ext(f.Name); given != "" && len(given) <= 16 && f.Kind != "photo" {
		end = strings.ToLower(given)
	}
	f.Path = fmt.Sprintf("%s/file_%d%s", shelf.folder, l.next, end)
	f.Size = max(f.Size, int64(len(data)))
	l.next++
	if l.dir != "" {
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return nil, fmt.Errorf("telegramsim: files: %w", err)
		}
		if err := os.WriteFile(l.onDisk(f.ID), data, 0o600); err != nil {
			return nil, fmt.Errorf("telegramsim: files: %w", err)
		}
	} else {
		f.data = data
		l.kept += int64(len(data))
	}
	kept := &f
	l.byID[f.ID] = kept
	l.order = append(l.order, kept)
	l.trim()
	return kept, nil
}

// trim drops the contents of the oldest; their names stay.
func (l *library) trim() {
	for i := 0; l.kept > maxKept && i < len(l.order)-1; i++ {
		old := l.order[i]
		l.kept -= int64(len(old.data))
		if old.data != nil {
			old.data, old.gone = nil, true
		}
	}
}

func (l *library) onDisk(id string) string { return filepath.Join(l.dir, id) }

// find returns a copy of a file, or nil.
func (l *library) find(id string) *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.byID[id]; f != nil {
		found := *f
		return &found
	}
	return nil
}

// content reads a file's bytes, without the zeros that follow.
func (l *library) content(id string) ([]byte, error) {
	f := l.find(id)
	switch {
	case f == nil || f.gone:
		return nil, ErrFileUnknown
	case l.dir == "":
		return f.data, nil
	}
	data, err := os.ReadFile(l.onDisk(id))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFileUnknown, err)
	}
	return data, nil
}

// save and load are the library's part of the data file.
func (l *library) save() (files []file, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.order {
		files = append(files, *f)
	}
	return files, l.next
}

func (l *library) load(files []file, next int64) {
	l.next = next
	for _, f := range files {
		l.byID[f.ID] = &f
		l.order = append(l.order, &f)
	}
}

// ErrFileUnknown says that there is no such file, or its content is not kept any more.
var ErrFileUnknown = errors.New("telegramsim: no such file")

// File reads the content of a file by its file_id, as a person's app would.
func (s *Server) File(id string) ([]byte, error) { return s.files.content(id) }

// getFile prepares a download (Client.cpp: do_get_file, check_remote_file_id).
func getFile(s *Server, c *call) (any, *RefusalError) {
	id := c.params["file_id"]
	if id == "" {
		return nil, badRequest("file_id not specified")
	}
	l := s.files
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.byID[id]
	switch {
	case f == nil:
		return nil, badRequest("%s", saidWrongFile)
	case f.Size > MaxDownload:
		return nil, badRequest("file is too big")
	case f.Fault == FileUnavailable || f.gone:
		return nil, badRequest("wrong file_id or the file is temporarily unavailable")
	}
	f.open = true
	return struct {
		FileRef
		FilePath string `json:"file_path"`
	}{f.ref(), f.Path}, nil
}

// download answers GET /file/bot<token>/<file_path> (Bot API: getFile).
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	token, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/file/bot"), "/")
	f := s.files.opened(name)
	if token != s.token || f == nil || f.Fault == FileMissing {
		writeAnswer(w, nil, refuse(http.StatusNotFound, "Not Found"))
		return
	}
	if s.disturb(w, r, "getfile", nil) {
		return
	}
	data, err := s.files.content(f.ID)
	if err != nil {
		writeAnswer(w, nil, refuse(http.StatusNotFound, "Not Found"))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	size := f.Size
	if f.Fault == FileEndless {
		size = endlessBytes // and no Content-Length, which would give it away
	} else {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	body := &blob{data: data, size: size}
	switch f.Fault {
	case FileCut:
		_, _ = io.CopyN(w, body, size/2)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http cuts the connection
	case FileSlow:
		for pause(r.Context(), s.ctx, slowInterval) {
			if _, err := io.CopyN(w, body, slowChunk); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	default:
		_, _ = io.Copy(w, body) // a client that left does not matter here
	}
}

// opened finds a file by the path that getFile gave.
func (l *library) opened(name string) *file {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.order {
		if f.Path == name && f.open {
			found := *f
			return &found
		}
	}
	return nil
}

// blob reads data and then zeros up to size.
type blob struct {
	data []byte
	size int64
	at   int64
}

// Read is io.Reader's.
func (b *blob) Read(p []byte) (int, error) {
	left := b.size - b.at
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	var n int
	if b.at < int64(len(b.data)) {
		n = copy(p, b.data[b.at:])
	} else {
		clear(p)
		n = len(p)
	}
	b.at += int64(n)
	return n, nil
}
