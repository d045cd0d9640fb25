package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// A frame is a value as level two holds it:
//
//	0   ticket    16 decimal digits, µs; written by the script that accepts the value
//	16  magic     0xC5
//	17  version   1
//	18  flags     1: compressed, 2: "not there"
//	19  zero
//	20  delta     8 bytes, ns
//	28  grace     8 bytes, ns
//	36  tags      8 bytes, a hash of the tags' versions
//	44  length    4 bytes, of the value before compression
//	48  checksum  8 bytes, xxHash64 of the schema, the Redis key, bytes 16–48 and the rest
//	56  the value
//
// Numbers are big-endian. The checksum knows the key, so that a value that was copied
// to another key is refused.
const (
	ticketBytes   = 16
	frameBytes    = 56 // before the value
	frameMagic    = 0xC5
	frameVersion  = 1
	flagZstd      = 1
	flagNegative  = 2
	frameOverhead = 1 << 10 // by which a frame may be longer than the largest value
)

var (
	errFrame    = errors.New("cache: corrupt frame")
	errTooLarge = errors.New("cache: value above the size cap")
)

// frame is a frame's content.
type frame struct {
	ticket   string // empty before it is written
	negative bool
	delta    time.Duration
	grace    time.Duration
	tags     uint64
	value    []byte // encoded; must not be changed
	stored   int    // bytes of the value as they were stored
}

// packer writes and reads frames. It is safe for concurrent use and has no goroutines
// of its own.
type packer struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
	above int // bytes above which values are compressed; negative: never
}

func newPacker(above, most int) (*packer, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("cache: zstd: %w", err)
	}
	// What a frame may grow to is bounded three times: by the length it states, which
	// the size cap bounds, by the capacity it is decoded into, and by this.
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(uint64(most)), zstd.WithDecoderMaxWindow(uint64(max(most, zstd.MinWindowSize))))
	if err != nil {
		return nil, fmt.Errorf("cache: zstd: %w", err)
	}
	return &packer{zip: zip, unzip: unzip, above: above}, nil
}

// pack returns the frame without its ticket.
func (p *packer) pack(name string, schema uint16, f frame) []byte {
	payload, flags := f.value, byte(0)
	if f.negative {
		flags |= flagNegative
	}
	if p.above >= 0 && len(f.value) > p.above {
		if zipped := p.zip.EncodeAll(f.value, nil); len(zipped) < len(f.value) {
			payload, flags = zipped, flags|flagZstd
		}
	}
	out := make([]byte, frameBytes-ticketBytes, frameBytes-ticketBytes+len(payload))
	out[0], out[1], out[2] = frameMagic, frameVersion, flags
	binary.BigEndian.PutUint64(out[4:], uint64(f.delta))
	binary.BigEndian.PutUint64(out[12:], uint64(f.grace))
	binary.BigEndian.PutUint64(out[20:], f.tags)
	binary.BigEndian.PutUint32(out[28:], uint32(len(f.value)))
	binary.BigEndian.PutUint64(out[32:], checksum(name, schema, out[:32], payload))
	return append(out, payload...)
}

// unpack reads a frame of a value of at most most bytes. Whatever is not exactly what
// pack wrote for this key is errFrame.
func (p *packer) unpack(name string, schema uint16, raw []byte, most int) (frame, error) {
	if len(raw) < frameBytes {
		return frame{}, errFrame
	}
	ticket, body := raw[:ticketBytes], raw[ticketBytes:]
	for _, c := range ticket {
		if c < '0' || c > '9' {
			return frame{}, errFrame
		}
	}
	head, payload := body[:32], body[frameBytes-ticketBytes:]
	flags := head[2]
	if head[0] != frameMagic || head[1] != frameVersion || flags&^(flagZstd|flagNegative) != 0 || head[3] != 0 ||
		binary.BigEndian.Uint64(body[32:]) != checksum(name, schema, head, payload) {
		return frame{}, errFrame
	}
	f := frame{
		ticket:   string(ticket),
		negative: flags&flagNegative != 0,
		delta:    time.Duration(binary.BigEndian.Uint64(head[4:])),
		grace:    time.Duration(binary.BigEndian.Uint64(head[12:])),
		tags:     binary.BigEndian.Uint64(head[20:]),
		value:    payload,
		stored:   len(payload),
	}
	length := int64(binary.BigEndian.Uint32(head[28:]))
	if length > int64(most) || f.delta < 0 || f.delta > maxLife || f.grace < 0 || f.grace > maxLife {
		return frame{}, errFrame
	}
	if flags&flagZstd != 0 {
		value, err := p.unzip.DecodeAll(payload, make([]byte, 0, length))
		if err != nil {
			return frame{}, errFrame
		}
		f.value = value
	}
	if int64(len(f.value)) != length {
		return frame{}, errFrame
	}
	return f, nil
}

func checksum(name string, schema uint16, head, payload []byte) uint64 {
	h := xxhash.New()
	var prefix [6]byte // the name's length keeps it apart from what follows
	binary.BigEndian.PutUint16(prefix[:], schema)
	binary.BigEndian.PutUint32(prefix[2:], uint32(len(name)))
	_, _ = h.Write(prefix[:])
	_, _ = h.WriteString(name)
	_, _ = h.Write(head)
	_, _ = h.Write(payload)
	return h.Sum64()
}

func (p *packer) close() error {
	p.unzip.Close()
	if err := p.zip.Close(); err != nil {
		return fmt.Errorf("cache: zstd: %w", err)
	}
	return nil
}
