package audio

import (
	"encoding/binary"
	"time"
)

const maxBoxDepth = 8

// mp4Samples are how many samples at a time a codec's packets hold: usually, and at most.
var mp4Samples = map[string][2]int64{
	"mp4a": {1024, 2048}, "alac": {4096, 16384}, "Opus": {960, 5760}, "fLaC": {4096, 65535}, ".mp3": {1152, 1152},
}

// mp4Track is a track's tables.
type mp4Track struct {
	sound    bool
	codec    string
	hertz    int64 // of the samples, as its entry says
	scale    int64 // units a second of its times
	duration int64 // of all packets, in those units, by the table of times
	packets  int64
}

// mp4Reader gathers what decides on a file's length.
type mp4Reader struct {
	tracks    []*mp4Track
	track     *mp4Track // the one being read
	fragments int64     // packets in fragments, of all tracks
	strange   bool      // more than is read here
}

// mp4Length takes each sound track's table of times, and what its packets add up to.
// Files in fragments, as recorders in browsers make them, have only the packets.
func mp4Length(file []byte) (likely, most time.Duration) {
	var r mp4Reader
	r.boxes(file, 0)
	if r.strange {
		return 0, 0
	}
	for _, t := range r.tracks {
		samples, known := mp4Samples[t.codec]
		if !t.sound {
			continue
		}
		packets := t.packets + r.fragments
		if !known || t.hertz == 0 || packets == 0 {
			return 0, 0
		}
		stated := play(t.duration, t.scale)
		counted := play(packets*samples[1], t.hertz)
		if r.fragments > 0 || stated == 0 {
			stated = play(packets*samples[0], t.hertz)
		}
		likely, most = max(likely, stated), max(most, stated, counted)
	}
	return likely, most
}

// boxes reads a run of boxes and those within that matter.
func (r *mp4Reader) boxes(b []byte, depth int) {
	for len(b) >= 8 {
		size, head := int64(binary.BigEndian.Uint32(b)), 8
		switch {
		case size == 0:
			size = int64(len(b))
		case size == 1 && len(b) >= 16:
			size, head = int64(min(binary.BigEndian.Uint64(b[8:]), 1<<62)), 16
		}
		if size < int64(head) {
			return
		}
		body := b[head:min(size, int64(len(b)))]
		r.box(string(b[4:8]), body, depth)
		if size >= int64(len(b)) {
			return
		}
		b = b[size:]
	}
}

func (r *mp4Reader) box(kind string, body []byte, depth int) {
	switch kind {
	case "moov", "mdia", "minf", "stbl", "moof", "traf":
		if depth < maxBoxDepth {
			r.boxes(body, depth+1)
		}
		return
	case "trak":
		if len(r.tracks) == maxTracks {
			r.strange = true
			return
		}
		r.track = new(mp4Track)
		r.tracks = append(r.tracks, r.track)
		r.boxes(body, depth+1)
		r.track = nil
		return
	case "trun":
		if len(body) >= 8 {
			r.fragments += int64(binary.BigEndian.Uint32(body[4:]))
		}
		return
	}
	if r.track != nil {
		r.track.box(kind, body)
	}
}

// box reads a table of a track.
func (t *mp4Track) box(kind string, b []byte) {
	switch {
	case kind == "mdhd" && len(b) >= 32 && b[0] == 1:
		t.scale = int64(binary.BigEndian.Uint32(b[20:]))
	case kind == "mdhd" && len(b) >= 20:
		t.scale = int64(binary.BigEndian.Uint32(b[12:]))
	case kind == "hdlr" && len(b) >= 12:
		t.sound = string(b[8:12]) == "soun"
	case kind == "stsd" && len(b) >= 8+36:
		entry := b[8:]
		t.codec, t.hertz = string(entry[4:8]), int64(binary.BigEndian.Uint16(entry[32:]))
	case kind == "stsz" && len(b) >= 12:
		t.packets = int64(binary.BigEndian.Uint32(b[8:]))
	case kind == "stts" && len(b) >= 8:
		for entries := b[8:]; len(entries) >= 8; entries = entries[8:] {
			count, each := int64(binary.BigEndian.Uint32(entries)), int64(binary.BigEndian.Uint32(entries[4:]))
			if each > 0 && count > (1<<60-t.duration)/each {
				t.duration = 1 << 60
				return
			}
			t.duration += count * each
		}
	}
}
