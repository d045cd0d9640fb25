package llmsim

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// protocol is how the requests of one path are let in, read and answered.
type protocol struct {
	allowed func(*http.Request) bool
	denied  func() *apiError // what those are told that are not allowed
	instant *instantAnswer   // of sim-instant; nil: it is answered like the others
	refuse  func(http.ResponseWriter, *apiError)
	// read decodes and checks a request. What it returns makes the dialect of its
	// answer, once the script is known.
	read func(r *http.Request, body []byte) (*turn, func(*Script) dialect, *apiError)
}

// speak answers the requests of a protocol.
func (s *Server) speak(p protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.allowed(r) {
			p.refuse(w, p.denied())
			return
		}
		buf, _ := s.buffers.Get().(*bytes.Buffer)
		if buf == nil {
			buf = new(bytes.Buffer)
		}
		defer s.keep(buf)
		if fault := take(w, r, buf); fault != nil {
			p.refuse(w, fault)
			return
		}
		if p.instant != nil && gjson.GetBytes(buf.Bytes(), "model").Str == instantModel {
			s.instant.Add(1)
			p.instant.write(w, gjson.GetBytes(buf.Bytes(), "stream").Bool())
			return
		}
		body := bytes.Clone(buf.Bytes())
		entry := s.journal.open(r, body, s.now())
		defer func() { s.journal.close(entry, r.Context().Err() != nil) }()
		t, dialect, fault := p.read(r, body)
		if fault != nil {
			s.journal.status(entry, fault.Status)
			p.refuse(w, fault)
			return
		}
		s.journal.model(entry, t.model, t.stream)
		script := s.script(t)
		s.answer(w, r, t, script, dialect(&script), entry)
	}
}

// take reads a request's body.
func take(w http.ResponseWriter, r *http.Request, into *bytes.Buffer) *apiError {
	_, err := into.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return nil
	}
	fault := invalid("", "", "The request's body could not be read, or is larger than 32 MiB.")
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		fault.Status = http.StatusRequestEntityTooLarge
	}
	return fault
}

// keep gives a buffer back, unless one large request has swollen it.
func (s *Server) keep(buf *bytes.Buffer) {
	if buf.Cap() <= maxKept {
		buf.Reset()
		s.buffers.Put(buf)
	}
}

// bearer tells whether a request carries the key as OpenAI's clients do.
func (s *Server) bearer(r *http.Request) bool {
	if s.key == "" {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.isKey(token)
}

func (s *Server) isKey(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.key)) == 1
}

// refuse sends an error as OpenAI does.
func (s *Server) refuse(w http.ResponseWriter, fault *apiError) {
	s.send(w, fault.Status, fault.body())
}

// chat is the protocol of chat completions.
func (s *Server) chat() protocol {
	p := s.openAIProtocol(readChat)
	p.instant = &instantAnswer{whole: instantBody, stream: instantStream}
	return p
}
