package audio

import (
	"bytes"
	"encoding/binary"
	"time"
)

// maxTracks bounds the logical streams and tracks of a file that are looked at.
const maxTracks = 16

const oggHeader = 27 // bytes of a page before its segment table

// oggTrack is one logical stream of an Ogg file.
type oggTrack struct {
	begun   bool
	opus    bool
	rate    int64         // samples a second of granule positions; 0: not known
	longest int64         // samples a packet makes at most; 0: not known
	granule int64         // the last one
	packets time.Duration // what the packets add up to, at most
	within  bool          // a packet goes on in the next page
}

// oggLength adds up the packets of all streams: those that follow one another play one
// after the other.
func oggLength(file []byte) (likely, most time.Duration) {
	tracks := map[uint32]*oggTrack{}
	var done []*oggTrack // streams whose serial another one has taken
	for {
		page := bytes.Index(file, []byte("OggS"))
		if page < 0 || len(file)-page < oggHeader {
			break
		}
		file = file[page:]
		segments := int(file[26])
		if len(file) < oggHeader+segments {
			break
		}
		serial := binary.LittleEndian.Uint32(file[14:])
		track := tracks[serial]
		if track == nil || file[5]&2 != 0 && track.begun {
			if len(tracks)+len(done) >= maxTracks {
				return 0, 0
			}
			if track != nil {
				done = append(done, track)
			}
			track = new(oggTrack)
			tracks[serial] = track
		}
		file = file[oggHeader+track.page(file, segments):]
	}
	for _, track := range tracks {
		done = append(done, track)
	}
	for _, track := range done {
		if track.rate == 0 || !track.opus && track.longest == 0 {
			return 0, 0 // a codec whose packets are not known
		}
		stated := play(track.granule, track.rate)
		if track.opus || stated == 0 || stated > track.packets {
			stated = track.packets
		}
		likely, most = likely+stated, most+track.packets
	}
	return likely, most
}

// page takes in one page and returns what follows its header: the segment table and body.
func (t *oggTrack) page(page []byte, segments int) int {
	if granule := int64(binary.LittleEndian.Uint64(page[6:])); granule > t.granule {
		t.granule = granule
	}
	table, body := page[oggHeader:oggHeader+segments], page[oggHeader+segments:]
	used, start := 0, 0
	for _, lace := range table {
		used += int(lace)
		if lace == 255 {
			continue
		}
		t.packet(body[min(start, len(body)):min(used, len(body))])
		start = used
	}
	if start < used {
		t.packet(body[min(start, len(body)):min(used, len(body))])
		t.within = true
	}
	return segments + min(used, len(body))
}

// packet takes in one packet, or one's part on a page.
func (t *oggTrack) packet(p []byte) {
	if t.within {
		t.within = false
		return
	}
	if !t.begun {
		t.begun = true
		t.identify(p)
		return
	}
	switch {
	case t.opus:
		if !bytes.HasPrefix(p, []byte("OpusTags")) {
			t.packets += opusPacket(p)
		}
	case len(p) > 0 && p[0]&1 == 0: // Vorbis marks headers by the lowest bit
		t.packets += play(t.longest, t.rate)
	}
}

func (t *oggTrack) identify(p []byte) {
	switch {
	case bytes.HasPrefix(p, []byte("OpusHead")):
		t.opus, t.rate = true, 48000
	case bytes.HasPrefix(p, []byte("\x01vorbis")) && len(p) >= 29:
		t.rate = int64(binary.LittleEndian.Uint32(p[12:]))
		t.longest = 1 << (p[28] >> 4) / 2 // a packet brings half of what its window spans
	}
}

// opusFrames are the milliseconds of a frame by its configuration: of speech,
// and of the hybrid of speech and music. Those of music alone follow a rule.
var opusFrames = [16]int64{10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 10, 20}

// opusPacket is how long an Opus packet plays, by its first two bytes.
func opusPacket(p []byte) time.Duration {
	if len(p) == 0 {
		return 0
	}
	config := p[0] >> 3
	frame := 2500 * time.Microsecond << (config & 3)
	if int(config) < len(opusFrames) {
		frame = time.Duration(opusFrames[config]) * time.Millisecond
	}
	switch p[0] & 3 {
	case 0:
		return frame
	case 1, 2:
		return 2 * frame
	}
	if len(p) < 2 {
		return 0
	}
	return frame * time.Duration(p[1]&63)
}
