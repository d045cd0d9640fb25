package billing

import (
	"errors"
	"strconv"
	"strings"
)

const (
	// NanoPerUSD is how many nano-USD, the unit of all amounts, make a dollar.
	NanoPerUSD = 1_000_000_000
	// MaxNano bounds every amount and balance: Lua's numbers are exact up to here.
	MaxNano = 1<<53 - 1
)

// ParseUSD reads a non-negative decimal such as "1.50" as nano-USD, exactly: no
// sign, no exponent, at most nine decimals, at most MaxNano.
func ParseUSD(text string) (int64, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if len(text) > 32 || whole == "" || dotted && fraction == "" {
		return 0, errors.New("not a decimal such as 1.50")
	}
	if len(fraction) > 9 {
		return 0, errors.New("finer than a nano-dollar (nine decimals)")
	}
	var nano uint64
	for _, digit := range whole + fraction + "000000000"[len(fraction):] {
		if digit < '0' || digit > '9' {
			return 0, errors.New("not a decimal such as 1.50")
		}
		nano = nano*10 + uint64(digit-'0')
		if nano > MaxNano {
			return 0, errors.New("above 9007199 USD")
		}
	}
	return int64(nano), nil
}

// FormatUSD writes nano-USD as a decimal with two to nine decimals: "1.50".
func FormatUSD(nano int64) string {
	text, magnitude := make([]byte, 0, 24), uint64(nano)
	if nano < 0 {
		text, magnitude = append(text, '-'), -magnitude
	}
	text = strconv.AppendUint(text, magnitude/NanoPerUSD, 10)
	point := len(text)
	text = strconv.AppendUint(text, NanoPerUSD+magnitude%NanoPerUSD, 10) // a one and nine digits
	text[point] = '.'
	end := len(text)
	for end > point+3 && text[end-1] == '0' {
		end--
	}
	return string(text[:end])
}
