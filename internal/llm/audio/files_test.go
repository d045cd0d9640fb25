package audio_test

import (
	"bytes"
	"encoding/binary"
)

// Files of silence, made as the formats' descriptions say.

func le16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func join(b ...any) []byte { // of strings, bytes and byte slices
	var all []byte
	for _, part := range b {
		switch v := part.(type) {
		case string:
			all = append(all, v...)
		case byte:
			all = append(all, v)
		case []byte:
			all = append(all, v...)
		}
	}
	return all
}

// wav is 16-bit mono at 16 kHz; stated is what its data chunk says of its size.
func wav(samples, stated int) []byte {
	return join("RIFF", le32(36+stated), "WAVEfmt ", le32(16), le16(1), le16(1), le32(16000), le32(32000), le16(2), le16(16),
		"data", le32(stated), make([]byte, 2*samples))
}

// mpeg is frames of layer III at 64 kbit/s, 24 kHz: 24 ms and 192 bytes each.
func mpeg(frames int) []byte {
	return bytes.Repeat(join([]byte{0xff, 0xf3, 0x84, 0xc4}, make([]byte, 188)), frames)
}

// adts is frames of 1024 samples at 16 kHz: 64 ms each.
func adts(frames int) []byte {
	const size = 20
	return bytes.Repeat(join([]byte{0xff, 0xf1, 0x60, 0x40, size >> 3, size&7<<5 | 0x1f, 0xfc}, make([]byte, size-7)), frames)
}

func flacCRC(b []byte) (crc byte) {
	for _, c := range b {
		crc ^= c
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// flac is frames of 4096 samples at 16 kHz: 256 ms each; stated is STREAMINFO's count of
// samples.
func flac(frames, stated int) []byte {
	packed := binary.BigEndian.AppendUint64(nil, 16000<<44|15<<36|uint64(stated))
	file := join("fLaC", byte(0x80), []byte{0, 0, 34}, make([]byte, 10), packed, make([]byte, 16))
	for n := range frames {
		header := []byte{0xff, 0xf8, 0xc5, 0x08, byte(n)}
		file = join(file, header, flacCRC(header), make([]byte, 30))
	}
	return file
}

func oggPage(serial, flags, granule int, packets ...[]byte) []byte {
	var table, body []byte
	for _, p := range packets {
		for range len(p) / 255 {
			table = append(table, 255)
		}
		table = append(table, byte(len(p)%255))
		body = append(body, p...)
	}
	return join("OggS", byte(0), byte(flags), binary.LittleEndian.AppendUint64(nil, uint64(granule)), le32(serial), le32(0), le32(0),
		byte(len(table)), table, body)
}

// opus is packets of one frame of 20 ms each, 50 a page, of whom the last page states
// the given granule.
func opus(serial, packets, granule int) []byte {
	file := join(oggPage(serial, 2, 0, join("OpusHead", make([]byte, 11))), oggPage(serial, 0, 0, []byte("OpusTags and some")))
	for ; packets > 0; packets -= 50 {
		page := make([][]byte, min(packets, 50))
		for i := range page {
			page[i] = join(byte(1<<3), make([]byte, 300)) // longer than a segment
		}
		file = append(file, oggPage(serial, 0, granule, page...)...)
	}
	return file
}

// vorbis is packets that make 1024 samples at most, at 16 kHz.
func vorbis(packets, granule int) []byte {
	head := join("\x01vorbis", le32(0), byte(1), le32(16000), make([]byte, 12), byte(11<<4|8), byte(1))
	file := join(oggPage(1, 2, 0, head), oggPage(1, 0, 0, []byte("\x03vorbis"), []byte("\x05vorbis")))
	for range packets {
		file = append(file, oggPage(1, 0, granule, []byte{2, 0, 0})...)
	}
	return file
}

func box(kind string, body ...any) []byte {
	b := join(body...)
	return join(be32(8+len(b)), kind, b)
}

// mp4 has a track of packets at 16 kHz, each of which lasts so many units of 1/16000 s
// by the table of times; fragments more packets follow in fragments.
func mp4(packets, each, fragments int) []byte {
	entry := join(be32(36), "mp4a", make([]byte, 24), be16(16000), be16(0))
	table := box("stbl",
		box("stsd", be32(0), be32(1), entry),
		box("stts", be32(0), be32(1), be32(packets), be32(each)),
		box("stsz", be32(0), be32(0), be32(packets)))
	file := join(box("ftyp", "M4A ", be32(0)), box("moov", box("mvhd", make([]byte, 100)), box("trak",
		box("mdia", box("mdhd", make([]byte, 12), be32(16000), be32(packets*each), be32(0)),
			box("hdlr", make([]byte, 8), "soun", make([]byte, 12)), box("minf", table)))))
	if fragments > 0 {
		file = join(file, box("moof", box("traf", box("trun", be32(0), be32(fragments)))))
	}
	return join(file, box("mdat", make([]byte, 100)))
}

func element(id []byte, body ...any) []byte {
	b := join(body...)
	return join(id, byte(0x40|len(b)>>8), byte(len(b)), b)
}

// unsized is an element that says nothing of its size, as live recordings have them.
func unsized(id []byte, body ...any) []byte {
	return join(id, []byte{0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, join(body...))
}

// webm is blocks 20 ms after one another in clusters of 50.
func webm(codec string, blocks int) []byte {
	file := join(element([]byte{0x1a, 0x45, 0xdf, 0xa3}, "webm"), unsized([]byte{0x18, 0x53, 0x80, 0x67}),
		element([]byte{0x15, 0x49, 0xa9, 0x66}, element([]byte{0x2a, 0xd7, 0xb1}, be32(1_000_000))),
		element([]byte{0x16, 0x54, 0xae, 0x6b}, element([]byte{0xae},
			element([]byte{0xd7}, byte(1)), element([]byte{0x83}, byte(2)), element([]byte{0x86}, codec))))
	for at := 0; at < blocks; at += 50 {
		file = join(file, unsized([]byte{0x1f, 0x43, 0xb6, 0x75}), element([]byte{0xe7}, be32(at*20)))
		for i := range min(50, blocks-at) {
			file = join(file, element([]byte{0xa3}, byte(0x81), be16(i*20), byte(0x80), byte(1<<3), []byte{1, 2, 3}))
		}
	}
	return file
}
