package audio

import (
	"bytes"
	"time"
)

// Format is a kind of sound file.
type Format string

// The formats.
const (
	WAV  Format = "wav"
	MPEG Format = "mpeg" // layers I to III
	ADTS Format = "adts" // AAC as a stream of frames
	MP4  Format = "mp4"
	Ogg  Format = "ogg"
	WebM Format = "webm"
	FLAC Format = "flac"
)

const (
	// slowest is what the thinnest speech takes: a file without a structure to walk
	// plays no longer than its bytes do at this rate.
	slowest = 512 // bytes a second
	// usual is what speech takes as most people record it.
	usual = 6000 // bytes a second
	// longest keeps sums of lengths far from the end of a time.Duration.
	longest = 10_000 * time.Hour
)

// Length is how long a file plays.
type Length struct {
	Format Format
	Likely time.Duration // as decoders will say, or, where nothing can be read, at a usual rate
	Most   time.Duration // it plays no longer; at least Likely
}

// FormatOf tells a file's format by its first bytes; "" where it is none of those here.
func FormatOf(file []byte) Format {
	switch {
	case len(file) < 12:
		return ""
	case (bytes.HasPrefix(file, []byte("RIFF")) || bytes.HasPrefix(file, []byte("RF64"))) && string(file[8:12]) == "WAVE":
		return WAV
	case string(file[4:8]) == "ftyp":
		return MP4
	case bytes.HasPrefix(file, []byte("OggS")):
		return Ogg
	case bytes.HasPrefix(file, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		return WebM
	case bytes.HasPrefix(file, []byte("fLaC")):
		return FLAC
	}
	rest := file[tagEnd(file):]
	if bytes.HasPrefix(rest, []byte("fLaC")) {
		return FLAC
	}
	if _, _, is := mpegFrame(rest); is {
		return MPEG
	}
	if _, _, is := adtsFrame(rest); is {
		return ADTS
	}
	if len(rest) < len(file) { // tagged, and then some padding
		return MPEG
	}
	return ""
}

// LengthOf measures a file. A file of no known format is measured by its size.
func LengthOf(file []byte) Length {
	l := Length{Format: FormatOf(file)}
	switch l.Format {
	case WAV:
		l.Likely, l.Most = wavLength(file)
	case MPEG:
		l.Likely = frames(file[tagEnd(file):], mpegFrame)
		l.Most = l.Likely
	case ADTS:
		l.Likely = frames(file[tagEnd(file):], adtsFrame)
		l.Most = l.Likely
	case MP4:
		l.Likely, l.Most = mp4Length(file)
	case Ogg:
		l.Likely, l.Most = oggLength(file)
	case WebM:
		l.Likely, l.Most = webmLength(file)
	case FLAC:
		l.Likely, l.Most = flacLength(file[tagEnd(file):])
	}
	if l.Most <= 0 {
		l.Most = play(int64(len(file)), slowest)
	}
	if l.Likely <= 0 {
		l.Likely = play(int64(len(file)), usual)
	}
	l.Most = min(l.Most, longest)
	l.Likely = min(l.Likely, l.Most)
	return l
}

// play is how long so many units last at a rate per second; 0 without a rate.
func play(units, rate int64) time.Duration {
	if units <= 0 || rate <= 0 {
		return 0
	}
	whole := units / rate
	if whole >= int64(longest/time.Second) {
		return longest
	}
	// The rest is below rate, which a file states in at most 32 bits.
	return time.Duration(whole)*time.Second + time.Duration(float64(units%rate)/float64(rate)*float64(time.Second))
}

// tagEnd is where an ID3v2 tag at the beginning ends; 0 without one.
func tagEnd(file []byte) int {
	if len(file) < 10 || string(file[:3]) != "ID3" {
		return 0
	}
	size := 0
	for _, b := range file[6:10] {
		size = size<<7 | int(b&0x7f)
	}
	if file[5]&0x10 != 0 { // with a footer
		size += 10
	}
	return min(10+size, len(file))
}
