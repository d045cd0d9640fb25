package llm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrAddress means that a provider's name led to an address that a provider on
// the internet cannot have.
var ErrAddress = errors.New("llm: a provider may not be at this address")

// inward are the networks that only a provider with local: true may be in. What
// an address can carry inside it (6to4, NAT64, Teredo) is refused as a whole.
var inward = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"::/96", "64:ff9b::/32", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// metadata are the addresses where clouds hand out credentials: no model lives there.
var metadata = prefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")

func prefixes(texts ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}

// guard checks each address right before it is dialled, so that no name can
// resolve to something else in between.
func guard(local bool) func(network, address string, _ syscall.RawConn) error {
	refused := inward
	if local {
		refused = metadata
	}
	return func(network, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrAddress, network)
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return fmt.Errorf("%w: not an IP address", ErrAddress)
		}
		ip = ip.Unmap().WithZone("")
		for _, prefix := range refused {
			if prefix.Contains(ip) {
				return fmt.Errorf("%w: %s", ErrAddress, ip)
			}
		}
		return nil
	}
}
