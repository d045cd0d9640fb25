package audio

import (
	"bytes"
	"encoding/binary"
	"time"
)

// frames adds up a stream of frames, skipping what lies between them.
func frames(stream []byte, frame func([]byte) (size int, plays time.Duration, is bool)) (sum time.Duration) {
	for len(stream) > 0 {
		size, plays, is := frame(stream)
		if is {
			sum += plays
			stream = stream[min(size, len(stream)):]
			continue
		}
		next := bytes.IndexByte(stream[1:], 0xff)
		if next < 0 {
			return sum
		}
		stream = stream[1+next:]
	}
	return sum
}

// Of MPEG audio, by version (1 first) and layer: kbit/s, and samples a frame.
var (
	mpegRates = [2][3][15]int{
		{
			{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
			{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
			{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		},
		{
			{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
			{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
			{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		},
	}
	mpegSamples   = [2][3]int{{384, 1152, 1152}, {384, 1152, 576}}
	mpegSampling  = [3]int{44100, 48000, 32000}
	adtsSampling  = [13]int64{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	mpegSlowdowns = [4]int{4, 0, 2, 1} // of the sampling, by version: 2.5, none, 2, 1
)

// mpegFrame reads the header of an MPEG audio frame.
func mpegFrame(b []byte) (size int, plays time.Duration, is bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return 0, 0, false
	}
	version, layer := b[1]>>3&3, int(4-b[1]>>1&3)
	rate, sampling := b[2]>>4, b[2]>>2&3
	if version == 1 || layer == 4 || rate == 0 || rate == 15 || sampling == 3 {
		return 0, 0, false
	}
	low := 1
	if version == 3 {
		low = 0
	}
	hertz := mpegSampling[sampling] / mpegSlowdowns[version]
	samples := mpegSamples[low][layer-1]
	bits := mpegRates[low][layer-1][rate] * 1000
	padding := int(b[2] >> 1 & 1)
	if layer == 1 {
		size = (12*bits/hertz + padding) * 4
	} else {
		size = samples/8*bits/hertz + padding
	}
	return size, play(int64(samples), int64(hertz)), size >= 4
}

// adtsFrame reads the header of an ADTS frame.
func adtsFrame(b []byte) (size int, plays time.Duration, is bool) {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return 0, 0, false
	}
	sampling := int(b[2] >> 2 & 15)
	if sampling >= len(adtsSampling) {
		return 0, 0, false
	}
	size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	blocks := int64(b[6]&3) + 1
	return size, play(1024*blocks, adtsSampling[sampling]), size >= 7
}

const (
	wavALaw, wavMuLaw = 6, 7
	wavPCM, wavFloat  = 1, 3
	wavExtensible     = 0xfffe
)

// wavLength takes the data chunk's size as likely, and at most the bytes from its
// beginning to the file's end: recorders that cannot go back leave the size wrong.
// 0 for codecs whose frames are not of a size.
func wavLength(file []byte) (likely, most time.Duration) {
	var bytesPerSecond int64
	for at := 12; at+8 <= len(file); {
		size := int64(binary.LittleEndian.Uint32(file[at+4:]))
		body := file[at+8:]
		if string(file[at:at+4]) == "data" {
			most = play(int64(len(body)), bytesPerSecond)
			if size > 0 && size < int64(len(body)) {
				return play(size, bytesPerSecond), most
			}
			return most, most
		}
		if string(file[at:at+4]) == "fmt " && len(body) >= 16 {
			bytesPerSecond = wavRate(body)
		}
		if size > int64(len(body)) {
			break
		}
		at += 8 + int(size+size&1)
	}
	return 0, 0
}

// wavRate reads a fmt chunk. The frame's size follows from channels and bits, as decoders
// have it; the stated ones need not agree.
func wavRate(format []byte) int64 {
	channels, hertz := int64(binary.LittleEndian.Uint16(format[2:])), int64(binary.LittleEndian.Uint32(format[4:]))
	align, bits := int64(binary.LittleEndian.Uint16(format[12:])), int64(binary.LittleEndian.Uint16(format[14:]))
	switch binary.LittleEndian.Uint16(format) {
	case wavPCM, wavFloat, wavALaw, wavMuLaw, wavExtensible:
	default:
		return 0
	}
	frame := channels * ((bits + 7) / 8)
	if align > 0 {
		frame = min(frame, align)
	}
	return hertz * frame
}
