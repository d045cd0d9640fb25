package telegramsim

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // people send these formats as photos, too
	"image/jpeg"
	"image/png"
	"mime"
	"path"
	"strconv"
)

// Attachment is a file that a person sends. Kind is one of photo, document, voice, audio, video, animation and
// video_note.
type Attachment struct {
	Kind      string    `json:"kind"`
	Name      string    `json:"name,omitempty"`      // of the file; documents, audio, video and animations
	MIME      string    `json:"mime,omitempty"`      // default: by the name's end, or the kind's usual one
	Data      []byte    `json:"data,omitempty"`      // base64 in JSON; of photos a PNG, JPEG or GIF
	Size      int64     `json:"size,omitempty"`      // bytes, where it is more than Data; the rest is zeros
	Width     int       `json:"width,omitempty"`     // video, animation, video_note
	Height    int       `json:"height,omitempty"`    //
	Seconds   int       `json:"seconds,omitempty"`   // voice, audio, video, animation, video_note
	Title     string    `json:"title,omitempty"`     // audio
	Performer string    `json:"performer,omitempty"` // audio
	Fault     FileFault `json:"fault,omitempty"`
}

// Errors of attachments.
var (
	ErrAttachment = errors.New("telegramsim: not a file that people send")
	ErrAlbum      = errors.New("telegramsim: an album has 2 to 10 photos and videos, or documents, or audio files")
)

const (
	albumBase     = 13_000_000_000_000_000 // where media_group_id begins to count
	maxAttachment = 64 << 20               // bytes of Data; more is said with Size
	photoQuality  = 80
)

// photoSides are the longer sides of the sizes that a photo is kept in (https://core.telegram.org/api/files:
// s 100, m 320, x 800, y 1280; the app scales what is larger down before it sends).
var photoSides = []int{90, 320, 800, 1280}

var usualMIME = map[string]string{
	"voice": "audio/ogg", "audio": "audio/mpeg", "video": "video/mp4", "animation": "video/mp4", "document": "application/octet-stream",
}

// attach keeps an attachment and returns the content that shows it.
func (s *Server) attach(a Attachment) (Content, error) {
	if _, ok := shelves[a.Kind]; !ok || !a.Fault.known() || len(a.Data) > maxAttachment || a.Size < 0 {
		return Content{}, fmt.Errorf("%w: kind %q, fault %q", ErrAttachment, a.Kind, a.Fault)
	}
	if a.Kind == "photo" {
		sizes, err := s.keepPhoto(a)
		return Content{Photo: sizes}, err
	}
	if a.MIME == "" {
		if a.MIME, _, _ = mime.ParseMediaType(mime.TypeByExtension(path.Ext(a.Name))); a.MIME == "" {
			a.MIME = usualMIME[a.Kind]
		}
	}
	f, err := s.files.add(file{
		Kind: a.Kind, Name: a.Name, MIME: a.MIME, Size: a.Size, Width: a.Width, Height: a.Height, Time: a.Seconds, Fault: a.Fault,
	}, a.Data)
	if err != nil {
		return Content{}, err
	}
	c := f.content()
	if c.Audio != nil {
		c.Audio.Title, c.Audio.Performer = a.Title, a.Performer
	}
	return c, nil
}

// content shows a kept file that is no photo.
func (f *file) content() Content {
	switch f.Kind {
	case "voice":
		return Content{Voice: &Voice{FileRef: f.ref(), Duration: f.Time, MIMEType: f.MIME}}
	case "audio":
		return Content{Audio: &Audio{FileRef: f.ref(), Duration: f.Time, FileName: f.Name, MIMEType: f.MIME}}
	case "video":
		return Content{Video: f.video()}
	case "animation":
		return Content{Animation: f.video(), Document: &Document{FileRef: f.ref(), FileName: f.Name, MIMEType: f.MIME}}
	case "video_note":
		return Content{VideoNote: &VideoNote{FileRef: f.ref(), Length: f.Width, Duration: f.Time}}
	case "photo":
		return Content{Photo: []PhotoSize{f.photo()}}
	}
	return Content{Document: &Document{FileRef: f.ref(), FileName: f.Name, MIMEType: f.MIME}}
}

func (f *file) video() *Video {
	return &Video{FileRef: f.ref(), Width: f.Width, Height: f.Height, Duration: f.Time, FileName: f.Name, MIMEType: f.MIME}
}

func (f *file) photo() PhotoSize {
	return PhotoSize{FileRef: f.ref(), Width: f.Width, Height: f.Height}
}

// keepPhoto keeps a photo in all its sizes, each a JPEG, as the servers do. Size is of the largest.
func (s *Server) keepPhoto(a Attachment) ([]PhotoSize, error) {
	config, _, err := image.DecodeConfig(bytes.NewReader(a.Data))
	if err != nil || config.Width > maxPhotoSides || config.Height > maxPhotoSides {
		return nil, fmt.Errorf("%w: a photo must be a PNG, JPEG or GIF with sides up to %d", ErrAttachment, maxPhotoSides)
	}
	picture, _, err := image.Decode(bytes.NewReader(a.Data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAttachment, err)
	}
	var sizes []PhotoSize
	longest := max(config.Width, config.Height)
	for i, side := range photoSides {
		last := i == len(photoSides)-1 || longest <= side
		scaled := scale(picture, side)
		var encoded bytes.Buffer
		if err := jpeg.Encode(&encoded, scaled, &jpeg.Options{Quality: photoQuality}); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAttachment, err)
		}
		f := file{Kind: "photo", MIME: "image/jpeg", Width: scaled.Bounds().Dx(), Height: scaled.Bounds().Dy()}
		f.Fault = a.Fault
		if last {
			f.Size = a.Size
		}
		kept, err := s.files.add(f, encoded.Bytes())
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, kept.photo())
		if last {
			break
		}
	}
	return sizes, nil
}

// scale shrinks a picture so that its longer side is at most side pixels; it never grows.
func scale(picture image.Image, side int) image.Image {
	from := picture.Bounds()
	longest := max(from.Dx(), from.Dy())
	if longest <= side {
		return picture
	}
	w, h := max(from.Dx()*side/longest, 1), max(from.Dy()*side/longest, 1)
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			to.Set(x, y, picture.At(from.Min.X+x*from.Dx()/w, from.Min.Y+y*from.Dy()/h))
		}
	}
	return to
}

// Picture draws a PNG of so many pixels, for people to send.
func Picture(width, height int) []byte {
	drawn := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			drawn.Set(x, y, color.RGBA{R: uint8(x * 255 / width), G: uint8(y * 255 / height), B: 128, A: 255})
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, drawn); err != nil {
		panic(fmt.Sprintf("telegramsim: draw %d×%d: %v", width, height, err)) // a size below one pixel
	}
	return encoded.Bytes()
}

// albums are the kinds that go together (Bot API: sendMediaGroup).
var albums = map[string]string{"photo": "visual", "video": "visual", "document": "document", "audio": "audio"}

// SendAlbum sends an album: a message per attachment under one media_group_id; the text is the caption of the
// first. The bot gets them one after another.
func (s *Server) SendAlbum(say Saying, attachments ...Attachment) ([]*Message, error) {
	if len(attachments) < 2 || len(attachments) > 10 {
		return nil, ErrAlbum
	}
	for _, a := range attachments {
		if together := albums[a.Kind]; together == "" || together != albums[attachments[0].Kind] {
			return nil, ErrAlbum
		}
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextAlbum++
	say.album = strconv.FormatInt(albumBase+w.nextAlbum, 10)
	var sent []*Message
	for _, a := range attachments {
		say.Attach = &a
		m, _, err := s.send(say)
		if err != nil {
			return sent, err
		}
		sent = append(sent, m)
		say.Text, say.Entities = "", nil
	}
	return sent, nil
}
