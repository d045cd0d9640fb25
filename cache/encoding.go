package cache

import (
	"encoding/json"
	"fmt"
)

// encoding turns values of a space into bytes and back.
type encoding struct {
	encode func(any) ([]byte, error)
	decode func([]byte) (any, error)
}

// encodingOf is JSON, but for bytes, which stay as they are.
func encodingOf[T any]() encoding {
	if _, bytes := any((*T)(nil)).(*[]byte); bytes {
		return encoding{
			encode: func(v any) ([]byte, error) { return v.([]byte), nil },
			decode: func(b []byte) (any, error) { return b, nil },
		}
	}
	return encoding{
		encode: func(v any) ([]byte, error) {
			b, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("cache: encode: %w", err)
			}
			return b, nil
		},
		decode: func(b []byte) (any, error) {
			var v T
			if err := json.Unmarshal(b, &v); err != nil {
				return nil, fmt.Errorf("cache: decode: %w", err)
			}
			return v, nil
		},
	}
}
