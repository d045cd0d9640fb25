package audio

import (
	"bytes"
	"encoding/binary"
	"time"
)

// flacLength reads the length from STREAMINFO and adds up the frames, which it finds by
// their sync code and checksum.
func flacLength(file []byte) (likely, most time.Duration) {
	at, hertz, total := 4, int64(0), int64(0)
	for last := false; !last && at+4 <= len(file); {
		kind := file[at] & 0x7f
		last = file[at]&0x80 != 0
		size := int(file[at+1])<<16 | int(file[at+2])<<8 | int(file[at+3])
		body := file[at+4:]
		if kind == 0 && len(body) >= 18 {
			packed := binary.BigEndian.Uint64(body[10:])
			hertz, total = int64(packed>>44), int64(packed&(1<<36-1))
		}
		at += 4 + min(size, len(body))
	}
	most = flacFrames(file[at:], hertz)
	if likely = play(total, hertz); likely == 0 || likely > most {
		likely = most
	}
	return likely, most
}

func flacFrames(stream []byte, hertz int64) (sum time.Duration) {
	for {
		sync := bytes.IndexByte(stream, 0xff)
		if sync < 0 || len(stream)-sync < 6 {
			return sum
		}
		stream = stream[sync:]
		samples, rate, size := flacHeader(stream, hertz)
		if size == 0 {
			stream = stream[1:]
			continue
		}
		sum += play(samples, rate)
		stream = stream[size:]
	}
}

var flacSampling = [12]int64{0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000}

// flacHeader reads a frame's header; size is the header's, 0 where there is none.
func flacHeader(b []byte, hertz int64) (samples, rate int64, size int) {
	if len(b) < 6 || b[0] != 0xff || b[1]&0xfe != 0xf8 || b[3]&1 != 0 {
		return 0, 0, 0
	}
	blocks, sampling := b[2]>>4, b[2]&15
	at := 5
	for lead := b[4]; lead&0xc0 == 0xc0; lead <<= 1 { // the frame's number, as UTF-8 writes it
		at++
	}
	extra := func(width int) int64 {
		n := int64(0)
		for range width {
			if at >= len(b) {
				return 0
			}
			n = n<<8 | int64(b[at])
			at++
		}
		return n
	}
	switch {
	case blocks == 0:
		return 0, 0, 0
	case blocks == 1:
		samples = 192
	case blocks <= 5:
		samples = 576 << (blocks - 2)
	case blocks == 6:
		samples = extra(1) + 1
	case blocks == 7:
		samples = extra(2) + 1
	default:
		samples = 256 << (blocks - 8)
	}
	switch sampling {
	case 0:
		rate = hertz
	case 12:
		rate = extra(1) * 1000
	case 13:
		rate = extra(2)
	case 14:
		rate = extra(2) * 10
	case 15:
		return 0, 0, 0
	default:
		rate = flacSampling[sampling]
	}
	if rate == 0 || at >= len(b) || crc8(b[:at]) != b[at] {
		return 0, 0, 0
	}
	return samples, rate, at + 1
}

// crcTable is of the polynomial x⁸+x²+x+1.
var crcTable = func() (table [256]byte) {
	for i := range table {
		crc := byte(i)
		for range 8 {
			high := crc & 0x80
			crc <<= 1
			if high != 0 {
				crc ^= 0x07
			}
		}
		table[i] = crc
	}
	return table
}()

func crc8(b []byte) (crc byte) {
	for _, c := range b {
		crc = crcTable[crc^c]
	}
	return crc
}
