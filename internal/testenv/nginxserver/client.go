package nginxserver

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
)

// clientConns are the idle connections that a client keeps.
const clientConns = 512

// Authority is who issued the front's certificate.
func (s *Server) Authority() *Authority { return s.issued }

// CAFile is a file with the certificate that clients must trust, such as SSL_CERT_FILE's.
func (s *Server) CAFile() (string, error) {
	file := s.path("tls/ca.pem")
	return file, os.WriteFile(file, s.issued.PEM(), 0o600)
}

// TLS is how a client trusts the front, for HTTP/1.1 unless protocols are named.
func (s *Server) TLS(protocols ...string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.issued.Certificate)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// Transport is a client's way to the front, by HTTP/2 if it is asked for. A client that
// comes from another address of loopback has from set, such as 127.0.0.7; "": any.
func (s *Server) Transport(http2 bool, from string) *http.Transport {
	dialer := &net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return &http.Transport{
		TLSClientConfig: s.TLS(), ForceAttemptHTTP2: http2, MaxIdleConnsPerHost: clientConns,
		DialContext: dialer.DialContext, DisableCompression: true,
	}
}
