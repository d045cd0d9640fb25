package config

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

const (
	nanosPerUSD = 1_000_000_000
	nanoDigits  = 9
)

// USD is an amount of money in nano-USD, written in the environment as a
// decimal number of dollars with at most nine places.
type USD int64

// Nano returns the amount in nano-USD.
func (u USD) Nano() int64 { return int64(u) }

func (u USD) String() string {
	whole, rest := int64(u)/nanosPerUSD, int64(u)%nanosPerUSD
	if rest == 0 {
		return strconv.FormatInt(whole, 10)
	}
	digits := strconv.FormatInt(rest+nanosPerUSD, 10)[1:] // with leading zeros
	return strconv.FormatInt(whole, 10) + "." + strings.TrimRight(digits, "0")
}

var errUSD = errors.New("is not an amount in dollars: write digits, then perhaps a point and at most nine more, as in 0.50")

// UnmarshalText reads a decimal number, exactly: no float is involved.
func (u *USD) UnmarshalText(text []byte) error {
	whole, places, point := strings.Cut(string(text), ".")
	if whole == "" || point && places == "" || len(places) > nanoDigits || !digits(whole+places) {
		return errUSD
	}
	dollars, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || dollars > math.MaxInt64/nanosPerUSD-1 {
		return errUSD
	}
	nanos, err := strconv.ParseInt((places + strings.Repeat("0", nanoDigits))[:nanoDigits], 10, 64)
	if err != nil {
		return errUSD
	}
	*u = USD(dollars*nanosPerUSD + nanos)
	return nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Networks is a comma-separated list of networks (10.0.0.0/8) or addresses.
type Networks []netip.Prefix

// Contains reports whether one of the networks holds the address. An IPv4
// address that came in IPv6's clothes counts as the IPv4 address it is.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

func (n Networks) String() string {
	parts := make([]string, len(n))
	for i := range n {
		parts[i] = n[i].String()
	}
	return strings.Join(parts, ",")
}

// UnmarshalText reads the list.
func (n *Networks) UnmarshalText(text []byte) error {
	var list Networks
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		network, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part)
			if addrErr != nil {
				return errors.New("is not a list of networks or addresses: write them as 10.0.0.0/8,192.0.2.7")
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		list = append(list, network.Masked())
	}
	*n = list
	return nil
}

// TelegramIDs is a comma-separated list of people's ids at Telegram.
type TelegramIDs []int64

// maxTelegramID is the largest id that Telegram gives: they have 52 bits.
const maxTelegramID = 1<<52 - 1

func (t TelegramIDs) String() string {
	parts := make([]string, len(t))
	for i, id := range t {
		parts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(parts, ",")
}

// UnmarshalText reads the list.
func (t *TelegramIDs) UnmarshalText(text []byte) error {
	var list TelegramIDs
	for part := range strings.SplitSeq(string(text), ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || id <= 0 || id > maxTelegramID {
			return errors.New("is not a list of Telegram ids: write people's numbers as 123456789,987654321")
		}
		list = append(list, id)
	}
	*t = list
	return nil
}

func parsers() map[reflect.Type]env.ParserFunc {
	return map[reflect.Type]env.ParserFunc{reflect.TypeFor[time.Duration](): parseDuration}
}

// parseDuration reads 90s, 2m or 1h30m, and a bare number as seconds.
func parseDuration(text string) (any, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, errors.New("is not a length of time: write 90s, 2m or 1h30m; a bare number is seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}
