package llm

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

const (
	commonStatus = "HTTP/1.1 200 OK\r\n"
	headerEnd    = "\r\n\r\n"
)

// commonAnswer reads the header of an answer in the commonest form: a 200 whose header came
// in one piece, states the body's length once, and says nothing else of how the body or the
// connection ends. It reads that as [http.ReadResponse] does, in a third of the time. nil:
// the answer has another form, and nothing was taken from the reader.
func commonAnswer(reader *bufio.Reader, request *http.Request) *http.Response {
	if _, err := reader.Peek(1); err != nil { // who reads next has it, too
		return nil
	}
	came, _ := reader.Peek(reader.Buffered())
	end := bytes.Index(came, []byte(headerEnd))
	if end < len(commonStatus) || string(came[:len(commonStatus)]) != commonStatus {
		return nil
	}
	header, length := commonHeader(string(came[len(commonStatus):end]))
	if length <= 0 {
		return nil
	}
	_, _ = reader.Discard(end + len(headerEnd)) // all of it is there
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: length, Body: &sizedBody{reader, length}, Request: request,
	}
}

// commonHeader reads the lines of a header. length is the body's; 0: another form, or none.
func commonHeader(lines string) (header http.Header, length int64) {
	n := strings.Count(lines, "\r\n") + 1
	header = make(http.Header, n)
	values := make([]string, n)
	for i := range values {
		var line string
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, is := strings.Cut(line, ":")
		if !is || !fieldName(name) || !fieldValue(value) {
			return nil, 0
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		switch name {
		case "Content-Length":
			stated, err := strconv.ParseUint(value, 10, 63)
			if err != nil || length != 0 {
				return nil, 0
			}
			length = int64(stated)
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return nil, 0
			}
		case "Transfer-Encoding", "Trailer", "Upgrade", "Pragma":
			return nil, 0
		}
		values[i] = value
		if before, is := header[name]; is {
			header[name] = append(before, value)
		} else {
			header[name] = values[i : i+1 : i+1]
		}
	}
	return header, length
}

// fieldName says whether a header's name is one.
func fieldName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return name != ""
}

// fieldValue says whether a header's value has no character in it that controls something.
func fieldValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

// sizedBody is a body whose length was stated.
type sizedBody struct {
	reader *bufio.Reader
	left   int64
}

func (b *sizedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.reader.Read(p[:min(int64(len(p)), b.left)])
	switch b.left -= int64(n); {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF: // a reader's own, which is never wrapped
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// Close leaves the connection, which is the transport's, as it is.
func (b *sizedBody) Close() error { return nil }
