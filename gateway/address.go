package gateway

import (
	"net"
	"net/netip"

	"github.com/gofiber/fiber/v2"
)

const (
	headerRealIP = "X-Real-IP"
	// A household or a rented server has all addresses of a /64 for itself.
	networkBits = 64
)

// networks says which addresses are ours.
type networks interface{ Contains(netip.Addr) bool }

// sender is where a request comes from, as far as that can be believed: what a proxy of
// ours says of its client, or the other end of the connection. An IPv4 address has no
// other form, and no address a zone.
func (s *Server) sender(c *fiber.Ctx) netip.Addr {
	peer := addressOf(c.Context().RemoteAddr())
	if s.proxies != nil && s.proxies.Contains(peer) {
		if told, err := netip.ParseAddr(string(c.Request().Header.Peek(headerRealIP))); err == nil {
			peer = told
		}
	}
	return peer.Unmap().WithZone("")
}

// clientAddress is sender for all that one client can call from: of an IPv6 address it is
// the network.
func (s *Server) clientAddress(c *fiber.Ctx) netip.Addr { return household(s.sender(c)) }

// household is all that somebody at an address can call from.
func household(address netip.Addr) netip.Addr {
	if address.Is6() {
		if prefix, err := address.Prefix(networkBits); err == nil {
			return prefix.Addr()
		}
	}
	return address
}

func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{} // of a listener that is no network's
}
