package nginx_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/nginxserver"
)

// issuer answers OCSP for an authority: every certificate is good (RFC 6960).
type issuer struct {
	authority atomic.Pointer[nginxserver.Authority]
}

// ocspRequest is what is read of a request: whose certificate is asked about.
type ocspRequest struct {
	TBS struct {
		List []struct{ Cert asn1.RawValue }
	}
}

type ocspSingle struct {
	Cert asn1.RawValue
	Good asn1.Flag `asn1:"tag:0"`
	From time.Time `asn1:"generalized"`
	To   time.Time `asn1:"generalized,explicit,tag:0"`
}

type ocspData struct {
	Responder asn1.RawValue // by name: explicit, tag 1
	At        time.Time     `asn1:"generalized"`
	Single    []ocspSingle
}

type ocspBasic struct {
	Data      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type ocspBytes struct {
	Kind     asn1.ObjectIdentifier
	Response []byte
}

type ocspResponse struct {
	Status asn1.Enumerated
	Bytes  ocspBytes `asn1:"explicit,tag:0"`
}

var (
	basicOCSP       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	ecdsaWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

func (s *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := s.answer(strings.TrimLeft(r.RequestURI, "/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	_, _ = w.Write(text)
}

func (s *issuer) answer(asked string) ([]byte, error) {
	plain, err := url.QueryUnescape(strings.ReplaceAll(asked, "+", "%2B"))
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(plain)
	if err != nil {
		return nil, err
	}
	var request ocspRequest
	if _, err := asn1.Unmarshal(raw, &request); err != nil {
		return nil, err
	}
	authority := s.authority.Load()
	now := time.Now().UTC().Truncate(time.Second)
	data := ocspData{Responder: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: authority.Certificate.RawSubject}, At: now}
	for _, one := range request.TBS.List {
		data.Single = append(data.Single, ocspSingle{Cert: one.Cert, Good: true, From: now.Add(-time.Minute), To: now.Add(time.Hour)})
	}
	signed, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, authority.Key, sum[:])
	if err != nil {
		return nil, err
	}
	basic, err := asn1.Marshal(ocspBasic{
		Data: asn1.RawValue{FullBytes: signed}, Algorithm: pkix.AlgorithmIdentifier{Algorithm: ecdsaWithSHA256},
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(ocspResponse{Bytes: ocspBytes{Kind: basicOCSP, Response: basic}})
}
