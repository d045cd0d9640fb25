package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const doorIn = 5 * time.Second

// frontDoor looks at the public address as a visitor does: through its name, its
// certificate and whatever stands in front of the program. Nothing here depends on what
// it finds; it is for those who watch.
type frontDoor struct {
	address string // "": there is none
	every   time.Duration
	log     *slog.Logger
	client  *http.Client
	up      *prometheus.GaugeVec
	expiry  *prometheus.GaugeVec
	shut    bool // what the last look found; of run alone
}

// newFrontDoor registers what it tells. Before the first look it tells nothing: vectors
// without labels show nothing until they are set.
func newFrontDoor(address string, every time.Duration, log *slog.Logger, r prometheus.Registerer) *frontDoor {
	d := &frontDoor{
		address: address, every: every, log: log,
		client: &http.Client{
			Timeout:       doorIn,
			Transport:     &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true}, // each look is a visitor's first
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "public_url_up", Help: "1: PUBLIC_URL answers as it should, seen from this instance. 0: it does not, or its certificate is not to be trusted.",
		}, nil),
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "public_certificate_expiry_timestamp_seconds", Help: "When the certificate that PUBLIC_URL was last seen with expires, in Unix time.",
		}, nil),
	}
	r.MustRegister(d.up, d.expiry)
	return d
}

func (d *frontDoor) run(ctx context.Context) error {
	if d.address == "" || d.every <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C: // the first look, too, has to wait for the server
		}
		d.note(ctx, d.look(ctx))
	}
}

// look visits once.
func (d *frontDoor) look(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.address+"/health", http.NoBody)
	if err != nil {
		return err
	}
	response, err := d.client.Do(request)
	if err != nil {
		var distrusted *tls.CertificateVerificationError
		if errors.As(err, &distrusted) && len(distrusted.UnverifiedCertificates) > 0 {
			d.expires(distrusted.UnverifiedCertificates[0].NotAfter)
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		d.expires(response.TLS.PeerCertificates[0].NotAfter)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/health there answers %d", response.StatusCode)
	}
	return nil
}

func (d *frontDoor) expires(at time.Time) { d.expiry.WithLabelValues().Set(float64(at.Unix())) }

// note says what a look found, and in the log what has changed.
func (d *frontDoor) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !d.shut:
		d.log.WarnContext(ctx, "PUBLIC_URL does not answer as it should", "error", err)
	case err == nil && d.shut:
		d.log.InfoContext(ctx, "PUBLIC_URL answers again")
	}
	d.shut = err != nil
	open := 1.0
	if d.shut {
		open = 0
	}
	d.up.WithLabelValues().Set(open)
}
