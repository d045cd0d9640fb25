package audio

import (
	"encoding/binary"
	"math"
	"time"
)

// Elements of a WebM file that are read.
const (
	webmSegment     = 0x18538067
	webmInfo        = 0x1549a966
	webmScale       = 0x2ad7b1
	webmDuration    = 0x4489
	webmTracks      = 0x1654ae6b
	webmEntry       = 0xae
	webmNumber      = 0xd7
	webmType        = 0x83
	webmCodec       = 0x86
	webmCluster     = 0x1f43b675
	webmTime        = 0xe7
	webmSimpleBlock = 0xa3
	webmGroup       = 0xa0
	webmBlock       = 0xa1

	webmSound    = 2                     // a track's type
	webmLongest  = 64 * time.Millisecond // of a block of a codec whose blocks are not read
	maxWebmScale = int64(time.Second)
)

// webmTrack is a track as its entry describes it.
type webmTrack struct {
	number int64
	sound  bool
	opus   bool
	blocks int64
	sum    time.Duration // of the blocks of Opus
}

// webmReader gathers what decides on a file's length. Recorders in browsers state no
// sizes of segments and clusters, and no duration: the file is read as a flat run of
// elements, in which those that only hold others do not count.
type webmReader struct {
	scale    int64   // nanoseconds a unit of time
	duration float64 // in those
	cluster  int64   // the current cluster's time
	last     int64   // the latest block's time
	tracks   []*webmTrack
	strange  bool
}

func webmLength(file []byte) (likely, most time.Duration) {
	r := webmReader{scale: int64(time.Millisecond)}
	for len(file) > 0 && !r.strange {
		id, n := webmID(file)
		size, m, unknown := webmSize(file[n:])
		if n == 0 || m == 0 {
			break
		}
		file = file[n+m:]
		switch id {
		case webmSegment, webmInfo, webmTracks, webmCluster, webmGroup:
			continue
		case webmEntry:
			r.track()
			continue
		}
		if unknown {
			break
		}
		body := file[:min(size, int64(len(file)))]
		r.element(id, body)
		file = file[len(body):]
	}
	return r.length()
}

func (r *webmReader) length() (likely, most time.Duration) {
	if r.strange {
		return 0, 0
	}
	stated := max(r.duration, float64(r.last)) * float64(r.scale)
	likely = time.Duration(min(max(stated, 0), float64(longest)))
	for _, t := range r.tracks {
		switch {
		case !t.sound:
		case t.opus:
			return t.sum, t.sum
		default:
			most = max(most, time.Duration(min(t.blocks, int64(longest/webmLongest)))*webmLongest)
		}
	}
	if most == 0 {
		return 0, 0
	}
	return likely, max(likely, most)
}

// track begins a new track's entry.
func (r *webmReader) track() {
	if len(r.tracks) == maxTracks {
		r.strange = true
		return
	}
	r.tracks = append(r.tracks, new(webmTrack))
}

func (r *webmReader) element(id uint32, b []byte) {
	switch id {
	case webmScale:
		r.scale = max(1, min(webmUint(b), maxWebmScale))
	case webmDuration:
		r.duration = webmFloat(b)
	case webmTime:
		r.cluster = webmUint(b)
	case webmSimpleBlock, webmBlock:
		r.block(b)
	}
	if len(r.tracks) == 0 {
		return
	}
	switch t := r.tracks[len(r.tracks)-1]; id {
	case webmNumber:
		t.number = webmUint(b)
	case webmType:
		t.sound = webmUint(b) == webmSound
	case webmCodec:
		t.opus = string(b) == "A_OPUS"
	}
}

// block counts one block: its track's number, its time in the cluster, flags, packets.
func (r *webmReader) block(b []byte) {
	number, n, _ := webmSize(b)
	if n == 0 || len(b) < n+3 {
		return
	}
	at := r.cluster + int64(int16(binary.BigEndian.Uint16(b[n:])))
	r.last = max(r.last, at)
	for _, t := range r.tracks {
		if t.number != number {
			continue
		}
		packets, body := int64(1), b[n+3:]
		if b[n+2]&6 != 0 && len(body) > 0 { // laced: several packets, the first of which tells for all
			packets = int64(body[0]) + 1
			t.opus = false
		}
		t.blocks += packets
		t.sum += opusPacket(body)
		return
	}
}

// webmID reads an element's id and how many bytes it takes; 0: there is none.
func webmID(b []byte) (id uint32, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	for n = 1; n <= 4 && b[0]&(0x80>>(n-1)) == 0; n++ {
	}
	if n > 4 || len(b) < n {
		return 0, 0
	}
	for _, c := range b[:n] {
		id = id<<8 | uint32(c)
	}
	return id, n
}

// webmSize reads an element's size, which may be unknown, and how many bytes it takes.
func webmSize(b []byte) (size int64, n int, unknown bool) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0, false
	}
	for n = 1; b[0]&(0x80>>(n-1)) == 0; n++ {
	}
	if len(b) < n {
		return 0, 0, false
	}
	size = int64(b[0]) & (0x80>>(n-1) - 1)
	for _, c := range b[1:n] {
		size = size<<8 | int64(c)
	}
	return size, n, size == 1<<(7*n)-1
}

func webmUint(b []byte) int64 {
	n := uint64(0)
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return int64(min(n, 1<<50))
}

func webmFloat(b []byte) float64 {
	v := 0.0
	switch len(b) {
	case 4:
		v = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		v = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	if v != v || v < 0 {
		return 0
	}
	return min(v, 1e18)
}
