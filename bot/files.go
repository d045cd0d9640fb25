package bot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
)

// FileMost is the largest file that Telegram lets a bot fetch, in bytes.
const FileMost = 20 << 20

const (
	methodGetFile  = "getFile"
	methodDownload = "download" // no method of the Bot API: the address that getFile leads to
	fileTries      = 3
	fileRetry      = 200 * time.Millisecond // before the second try, doubled each time
	fileTimeout    = 30 * time.Second       // of all tries
)

var (
	// ErrFileTooLarge is a file that is larger than may be fetched.
	ErrFileTooLarge = errors.New("bot: file is too large")
	// ErrFileGone is a file that Telegram does not give: its id is unknown or old, or
	// it is on its servers no more.
	ErrFileGone = errors.New("bot: file cannot be fetched")
)

// Files fetches what people send.
type Files struct {
	client *tg.Bot
	http   *http.Client
	retry  time.Duration
}

// NewFiles fetches by the client's word, over client, [NewHTTPClient] if nil.
func NewFiles(api *tg.Bot, client *http.Client) *Files {
	if client == nil {
		client = NewHTTPClient()
	}
	return &Files{client: api, http: client, retry: fileRetry}
}

// Fetch returns a file's content, of at most so many bytes. Errors are [ErrFileTooLarge],
// [ErrFileGone], or an [*APIError]; none holds the address, which has the token in it.
// What may pass is tried three times, half a minute at most.
func (f *Files) Fetch(ctx context.Context, id string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	backoff := f.retry
	for try := 1; ; try++ {
		content, err := f.fetch(ctx, id, most)
		var api *APIError
		if err == nil || try == fileTries || !errors.As(err, &api) || !errors.Is(api, ErrTryLater) {
			return content, err
		}
		if !sleep(ctx, max(backoff, api.RetryAfter)) {
			return nil, err
		}
		backoff *= 2
	}
}

func (f *Files) fetch(ctx context.Context, id string, most int64) ([]byte, error) {
	file, err := f.client.GetFile(ctx, &tg.GetFileParams{FileID: id})
	if err != nil {
		return nil, refusedFile(asAPIError(methodGetFile, err))
	}
	if file.FileSize > most {
		return nil, ErrFileTooLarge
	}
	if file.FilePath == "" {
		return nil, ErrFileGone
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.client.FileDownloadLink(file), http.NoBody)
	if err != nil {
		return nil, ErrFileGone // a path that makes no address; the error would quote it
	}
	return f.download(request, most)
}

// download reads what the address holds.
func (f *Files) download(request *http.Request, most int64) ([]byte, error) {
	response, err := f.http.Do(request)
	if err != nil {
		return nil, noAnswer(methodDownload, err)
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusForbidden, code == http.StatusBadRequest, code == http.StatusGone:
		return nil, ErrFileGone
	case code != http.StatusOK:
		return nil, &APIError{Method: methodDownload, Code: code, Description: http.StatusText(code)}
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, noAnswer(methodDownload, err)
	}
	if int64(len(content)) > most {
		return nil, ErrFileTooLarge
	}
	if announced := response.ContentLength; announced >= 0 && int64(len(content)) != announced {
		return nil, noAnswer(methodDownload, io.ErrUnexpectedEOF)
	}
	return content, nil
}

// refusedFile tells what a refusal of getFile means; nothing else is refused for good.
func refusedFile(err *APIError) error {
	if err.Code != http.StatusBadRequest && err.Code != http.StatusNotFound {
		return err
	}
	if strings.Contains(err.Description, "too big") {
		return ErrFileTooLarge
	}
	return fmt.Errorf("%w: %s", ErrFileGone, err.Description)
}
