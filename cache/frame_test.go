package cache

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

const testTicket = "1800000000000000"

func testPacker(t testing.TB, above int) *packer {
	t.Helper()
	p, err := newPacker(above, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func packed(p *packer, name string, f frame) []byte {
	return append([]byte(testTicket), p.pack(name, 1, f)...)
}

// FuzzFrame: what was packed comes back; whatever else comes is refused or is, byte for
// byte, what pack could have made; and nothing grows above the cap.
func FuzzFrame(f *testing.F) {
	p := testPacker(f, 64)
	for _, value := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("abc"), 100), bytes.Repeat([]byte{0}, 5000)} {
		f.Add(value, uint16(3), byte(1))
		f.Add(packed(p, "k", frame{value: value}), uint16(0), byte(0))
	}
	f.Fuzz(func(t *testing.T, value []byte, at uint16, flip byte) {
		const most = 4096
		if got, err := p.unpack("k", 1, value, most); err == nil && len(got.value) > most {
			t.Fatalf("%d bytes came out", len(got.value))
		}
		in := frame{value: value, delta: time.Duration(at), grace: time.Duration(flip), tags: uint64(at) << 40}
		raw := packed(p, "k", in)
		out, err := p.unpack("k", 1, raw, len(value))
		if err != nil || !bytes.Equal(out.value, value) || out.delta != in.delta || out.grace != in.grace || out.tags != in.tags || out.ticket != testTicket {
			t.Fatalf("%+v came back as %+v, %v", in, out, err)
		}
		if _, err := p.unpack("other", 1, raw, len(value)); err == nil {
			t.Fatal("another key's value was taken")
		}
		if _, err := p.unpack("k", 2, raw, len(value)); err == nil {
			t.Fatal("another schema's value was taken")
		}
		if len(value) > 0 {
			if _, err := p.unpack("k", 1, raw, len(value)-1); err == nil {
				t.Fatal("a value above the cap was taken")
			}
		}
		i := int(at) % len(raw)
		if _, err := p.unpack("k", 1, raw[:i], len(value)); err == nil {
			t.Fatalf("the first %d of %d bytes were taken", i, len(raw))
		}
		if flip != 0 && i >= ticketBytes {
			raw[i] ^= flip
			if _, err := p.unpack("k", 1, raw, len(value)); err == nil {
				t.Fatalf("byte %d was changed by %x and nobody saw", i, flip)
			}
		}
	})
}

// TestFrameCompresses above the threshold only, and only where it helps.
func TestFrameCompresses(t *testing.T) {
	p := testPacker(t, 1024)
	for _, row := range []struct {
		name  string
		value string
		zstd  bool
	}{
		{"at the threshold", strings.Repeat("a", 1024), false},
		{"above it", strings.Repeat("a", 1025), true},
		{"not to be compressed", string(noise(2000)), false},
	} {
		raw := p.pack("k", 1, frame{value: []byte(row.value)})
		if got := raw[2]&flagZstd != 0; got != row.zstd {
			t.Errorf("%s: compressed %v, want %v", row.name, got, row.zstd)
		}
		if over := len(raw) + ticketBytes - len(row.value); over > frameBytes {
			t.Errorf("%s: %d bytes more than the value", row.name, over)
		}
	}
}

// TestFrameBombs: a frame whose checksum is right and whose content is hostile.
func TestFrameBombs(t *testing.T) {
	p := testPacker(t, 64)
	zip, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zip.Close()
	bomb := zip.EncodeAll(make([]byte, 64<<20), nil) // 64 MiB in 4 KiB or so
	for _, stated := range []uint32{0, 100, 1 << 20, 64 << 20, 1<<32 - 1} {
		raw := p.pack("k", 1, frame{value: bytes.Repeat([]byte("a"), 100)})
		raw = append(raw[:frameBytes-ticketBytes], bomb...)
		binary.BigEndian.PutUint32(raw[28:], stated)
		binary.BigEndian.PutUint64(raw[32:], checksum("k", 1, raw[:32], bomb))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := p.unpack("k", 1, append([]byte(testTicket), raw...), 1<<20); err == nil {
			t.Fatalf("a bomb that states %d bytes was taken", stated)
		}
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		if allocated > 4<<20 {
			t.Errorf("a bomb that states %d bytes took %d bytes", stated, allocated)
		}
	}
}

// noise is n bytes without a pattern.
func noise(n int) []byte {
	out := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x >> 32)
	}
	return out
}
