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

// clientAddress is where a request comes from, as far as that can be believed: what a
// proxy of ours says of its client, or the other end of the connection. It stands for all
// that one client can call from, so of an IPv6 address it is the network.
func (s *Server) clientAddress(c *fiber.Ctx) netip.Addr {
	peer := addressOf(c.Context().RemoteAddr())
	if s.proxies != nil && s.proxies.Contains(peer) {
		if told, err := netip.ParseAddr(string(c.Request().Header.Peek(headerRealIP))); err == nil {
			peer = told
		}
	}
	peer = peer.Unmap().WithZone("")
	if peer.Is6() {
		if prefix, err := peer.Prefix(networkBits); err == nil {
			return prefix.Addr()
		}
	}
	return peer
}

func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{} // of a listener that is no network's
}
