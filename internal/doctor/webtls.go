package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	certificateWorth = 21 * 24 * time.Hour // Let's Encrypt renews a month before
	certificateLeast = 3 * 24 * time.Hour
	handshakeIn      = 5 * time.Second
)

// NewWebClient is a client for [Web]: it follows no redirect, keeps nothing, and believes
// in roots (nil: the system's).
func NewWebClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: handshakeIn, DisableCompression: true, MaxIdleConnsPerHost: atOnce,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// host is the address's, with its port.
func (w Web) host() (name, address string) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "", ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return u.Hostname(), net.JoinHostPort(u.Hostname(), port)
}

// greet shakes hands and ends the connection.
func (w Web) greet(ctx context.Context, config *tls.Config) (tls.ConnectionState, error) {
	name, address := w.host()
	config.ServerName = name
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: handshakeIn}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	secure, is := conn.(*tls.Conn)
	if !is {
		return tls.ConnectionState{}, errors.New("no TLS")
	}
	return secure.ConnectionState(), nil
}

func (w Web) roots() *x509.CertPool {
	if transport, is := w.Client.Transport.(*http.Transport); is && transport.TLSClientConfig != nil {
		return transport.TLSClientConfig.RootCAs
	}
	return nil
}

// certificate is for whom it is, by whom, and how long it still holds.
func (w Web) certificate(ctx context.Context) []Finding {
	state, err := w.greet(ctx, &tls.Config{RootCAs: w.roots(), MinVersion: tls.VersionTLS12})
	var (
		names     x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &names):
		return []Finding{fault("get a certificate for this name", "The certificate is for other names than that of PUBLIC_URL.")}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return []Finding{fault("renew it: certbot renew, then reload nginx", "The certificate's time is over, or has not begun.")}
	case errors.As(err, &authority):
		return []Finding{fault("send the whole chain (fullchain.pem), of an authority that Telegram knows", "The certificate's authority is not known: it is self-made, or the chain is not whole.")}
	case err != nil:
		return []Finding{fault("look whether the proxy listens there with TLS", "No TLS connection: %s.", reason(err))}
	}
	ends := state.PeerCertificates[0].NotAfter
	left := ends.Sub(w.Now())
	const mend = "renew it: certbot renew, then reload nginx; and look why that did not happen by itself"
	switch {
	case left < certificateLeast:
		return []Finding{fault(mend, "The certificate ends on %s.", ends.UTC().Format(time.DateOnly))}
	case left < certificateWorth:
		return []Finding{warning(mend, "The certificate ends on %s.", ends.UTC().Format(time.DateOnly))}
	}
	return []Finding{well("The certificate is for this name and holds until %s; %s.", ends.UTC().Format(time.DateOnly), tls.VersionName(state.Version))}
}

// oldTLS asks for a version that has been out of use since 2021.
func (w Web) oldTLS(ctx context.Context) []Finding {
	_, err := w.greet(ctx, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}) //nolint:gosec // nothing is sent over it
	if err == nil {
		return []Finding{warning("set ssl_protocols TLSv1.2 TLSv1.3", "TLS 1.1 or older is accepted.")}
	}
	return []Finding{well("TLS older than 1.2 is refused.")}
}

func (w Web) http2(ctx context.Context) []Finding {
	p, err := w.get(ctx, http.MethodGet, "/health", "")
	switch {
	case err != nil:
		return nil
	case p.proto < 2:
		return []Finding{warning("set http2 on in nginx", "HTTP/2 is not offered: each call of a browser takes a connection of its own.")}
	}
	return []Finding{well("HTTP/2 is offered.")}
}

// redirect is whether plain http leads to https. Where a port is named, no other is looked at.
func (w Web) redirect(ctx context.Context) []Finding {
	u, err := url.Parse(w.URL)
	if err != nil || u.Port() != "" {
		return nil
	}
	plain := Web{URL: "http://" + u.Host, Client: w.Client}
	p, err := plain.get(ctx, http.MethodGet, "/webapp/", "")
	if err != nil {
		return []Finding{well("Nothing answers plain http.")}
	}
	target, err := url.Parse(p.header.Get("Location"))
	if p.status < http.StatusMovedPermanently || p.status >= http.StatusBadRequest || err != nil || target.Scheme != "https" {
		return []Finding{warning("redirect port 80 to https", "Plain http is answered %d instead of leading to https.", p.status)}
	}
	return []Finding{well("Plain http leads to https.")}
}
