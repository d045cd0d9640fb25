package billing

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"sync"
	"time"
)

// pepper keys the HMAC under which API keys are stored. Keys made under an
// older pepper stay valid while that pepper is configured.
type pepper struct {
	version string    // names the pepper without telling it
	macs    sync.Pool // of hash.Hash; a reset one skips the key's two blocks
}

func newPeppers(secrets []string) ([]*pepper, error) {
	if len(secrets) == 0 {
		return nil, errors.New("billing: at least one pepper is required")
	}
	peppers := make([]*pepper, len(secrets))
	for i, secret := range secrets {
		if secret == "" { // how long it must be is for the configuration to say
			return nil, fmt.Errorf("billing: pepper %d is empty", i+1)
		}
		p := &pepper{}
		p.macs.New = func() any { return hmac.New(sha256.New, []byte(secret)) }
		first, _ := p.digest("version of this pepper")
		p.version = first[:8]
		peppers[i] = p
	}
	return peppers, nil
}

// digest returns the two halves of the HMAC as 32 hexadecimal digits each: the
// locator, under which the record is found, and the mac that proves the key.
func (p *pepper) digest(token string) (locator, mac string) {
	h := p.macs.Get().(hash.Hash)
	defer p.macs.Put(h)
	h.Reset()
	_, _ = h.Write([]byte(token))
	var sum [sha256.Size]byte
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], h.Sum(sum[:0]))
	whole := string(text[:])
	return whole[:sha256.Size], whole[sha256.Size:]
}

// PresentedKey is an API key as a client sent it: well-formed, not yet known to
// be real. Locator and Mac have one element per pepper, newest first; the key
// is real if a record exists under a locator and Verify accepts its mac. Or it
// is no key but a session of the Mini App, which was checked already and has no record.
type PresentedKey struct {
	Account int64
	Locator []string // 32 hexadecimal digits each
	Mac     []string
	// From is the address that it was sent from, for whoever read it to say; the zero
	// address is in no network that a key may be restricted to.
	From netip.Addr
	// Session names the Mini App's session that came instead of a key; "": a key came.
	Session string
	Until   time.Time // when the session ends
}

// Verify compares the mac of the record found under Locator[index], in constant time.
func (p PresentedKey) Verify(index int, mac string) bool {
	if index < 0 || index >= len(p.Mac) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(p.Mac[index]), []byte(mac)) == 1
}
