package document

import "io"

const (
	lzwClear = 256
	lzwEnd   = 257
	lzwMost  = 4096 // codes
)

// lzw unpacks PDF's LZW: codes of 9 to 12 bits, high bits first, which grow one code
// early. compress/lzw grows them on time.
type lzw struct {
	data  []byte
	limit *limit
	bits  uint32
	n     uint // bits at hand
	table [][]byte
	last  []byte
	left  []byte // of what was unpacked
}

func newLZW(data []byte, l *limit) *lzw {
	z := &lzw{data: data, limit: l}
	z.clear()
	return z
}

func (z *lzw) clear() {
	z.table = z.table[:0]
	for i := range lzwEnd + 1 {
		z.table = append(z.table, []byte{byte(i)})
	}
	z.last = nil
}

func (z *lzw) Read(p []byte) (int, error) {
	for len(z.left) == 0 {
		if err := z.step(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.left)
	z.left = z.left[n:]
	return n, nil
}

// step unpacks one code.
func (z *lzw) step() error {
	z.limit.step()
	width := uint(9)
	for width < 12 && len(z.table)+1 >= 1<<width {
		width++
	}
	for z.n < width {
		if len(z.data) == 0 {
			return io.EOF
		}
		z.bits, z.n, z.data = z.bits<<8|uint32(z.data[0]), z.n+8, z.data[1:]
	}
	z.n -= width
	code := int(z.bits >> z.n & (1<<width - 1))
	switch {
	case code == lzwClear:
		z.clear()
		return nil
	case code == lzwEnd:
		return io.EOF
	case code > len(z.table) || code == len(z.table) && z.last == nil:
		return io.ErrUnexpectedEOF
	}
	var word []byte
	if code < len(z.table) {
		word = z.table[code]
	} else {
		word = append(append([]byte(nil), z.last...), z.last[0])
	}
	if z.last != nil && len(z.table) < lzwMost {
		z.table = append(z.table, append(append([]byte(nil), z.last...), word[0]))
	}
	z.last, z.left = word, word
	return nil
}
