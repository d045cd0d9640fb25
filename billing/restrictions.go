package billing

import (
	_ "embed"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StatusRestricted is a key's status in Redis where it may not be used for everything.
// Scripts read what for only then, so that a key without restrictions costs nothing more.
const StatusRestricted = "restricted"

// Bounds of restrictions.
const (
	MaxKeyModels   = 64 // entries
	MaxKeyNetworks = 32
	MaxKeyLife     = 10 * 365 * 24 * time.Hour

	maxModelEntry = 129 // characters: those of a model's id, and the '*'
	addressBits   = 128
	mappedBits    = 96 // of an IPv6 address before the IPv4 address that it maps
)

// RestrictionsLua is the source of the Lua function key_refusal, described above itself.
//
//go:embed scripts/restrictions.lua
var RestrictionsLua string

// Restrictions are what an API key may be used for. The zero value restricts nothing.
type Restrictions struct {
	Models    []string       // ids, or the beginnings of ids followed by '*'; none: any model
	Networks  []netip.Prefix // from which it may be used; none: from anywhere
	ExpiresAt time.Time      // from then on it is no key; zero: never. To the millisecond
}

// RestrictionError says what is wrong with a key's restrictions and what would be right.
type RestrictionError struct {
	Field string // "models", "allowed_ips" or "expires_at"
	Fault string // a sentence
}

func (e *RestrictionError) Error() string { return "billing: " + e.Field + ": " + e.Fault }

var modelEntry = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@-]*\*?$`)

// Empty says that nothing is restricted.
func (r Restrictions) Empty() bool {
	return len(r.Models) == 0 && len(r.Networks) == 0 && r.ExpiresAt.IsZero()
}

// normal is r as it is kept: sorted, nothing twice. [*RestrictionError].
func (r Restrictions) normal() (Restrictions, error) {
	if len(r.Models) > MaxKeyModels {
		return r, &RestrictionError{"models", fmt.Sprintf("There are %d entries, and may be %d. Shorten the list with beginnings such as \"gpt-4o*\".", len(r.Models), MaxKeyModels)}
	}
	for _, m := range r.Models {
		if m == "*" {
			return r, &RestrictionError{"models", `"*" alone allows every model. Leave the models out for that.`}
		}
		if len(m) > maxModelEntry || !modelEntry.MatchString(m) {
			return r, &RestrictionError{"models", fmt.Sprintf("%.140q is no model's id. Write one as GET /v1/models lists it, or the beginning of some followed by \"*\".", m)}
		}
	}
	if len(r.Networks) > MaxKeyNetworks {
		return r, &RestrictionError{"allowed_ips", fmt.Sprintf("There are %d networks, and may be %d. Write neighbours as one network.", len(r.Networks), MaxKeyNetworks)}
	}
	networks := make([]netip.Prefix, 0, len(r.Networks))
	for _, n := range r.Networks {
		if !n.IsValid() || n != n.Masked() || n.Addr().Is4In6() {
			return r, &RestrictionError{"allowed_ips", fmt.Sprintf("%s is no network. Write one such as 203.0.113.0/24 or 2001:db8::/32.", n)}
		}
		networks = append(networks, n)
	}
	slices.SortFunc(networks, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	r.Models = slices.Compact(slices.Sorted(slices.Values(r.Models)))
	r.Networks = slices.Compact(networks)
	if !r.ExpiresAt.IsZero() {
		r.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Millisecond)
	}
	return r, nil
}

// ParseNetwork reads a network such as 203.0.113.0/24, or an address, which is a network
// of its own. [*RestrictionError].
func ParseNetwork(text string) (netip.Prefix, error) {
	fault := func(says string) (netip.Prefix, error) {
		return netip.Prefix{}, &RestrictionError{"allowed_ips", fmt.Sprintf("%.60q %s", text, says)}
	}
	address, bits, ranged := strings.Cut(text, "/")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return fault("is no IP address or network. Write one such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32.")
	}
	if a.Zone() != "" {
		return fault("has a zone, which only one machine knows. Write the address without it.")
	}
	length := a.BitLen()
	if ranged {
		n, err := strconv.ParseUint(bits, 10, 8)
		if err != nil || int(n) > a.BitLen() || bits != strconv.Itoa(int(n)) {
			return fault(fmt.Sprintf("has no prefix length from 0 to %d behind its slash. Write one such as 203.0.113.0/24.", a.BitLen()))
		}
		length = int(n)
	}
	if a.Is4In6() {
		if length < mappedBits {
			return fault("covers more than the IPv4 addresses it maps. Write the IPv4 network itself.")
		}
		a, length = a.Unmap(), length-mappedBits
	}
	p := netip.PrefixFrom(a, length)
	if p.Masked() != p {
		return fault(fmt.Sprintf("names an address inside a network. Write %s, or the address alone.", p.Masked()))
	}
	return p, nil
}

// packed is what Redis is told: expiry in ms (0: never)|models|networks, each list with
// commas; a network as AddressBits has its addresses' beginning. "": no restriction.
func (r Restrictions) packed() string {
	if r.Empty() {
		return ""
	}
	expires := int64(0)
	if !r.ExpiresAt.IsZero() {
		expires = r.ExpiresAt.UnixMilli()
	}
	networks := make([]string, len(r.Networks))
	for i, n := range r.Networks {
		networks[i] = AddressBits(n.Addr())[:1+n.Bits()]
	}
	return decimal(expires) + "|" + strings.Join(r.Models, ",") + "|" + strings.Join(networks, ",")
}

// AddressBits is an address in the form in which scripts compare it with networks: 4 or
// 6, and its bits, one character each. "" for the zero address, which is in no network.
func AddressBits(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsValid() {
		return ""
	}
	text := make([]byte, 1, 1+addressBits)
	text[0] = '4'
	if a.Is6() {
		text[0] = '6'
	}
	for _, b := range a.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			text = append(text, '0'+b>>bit&1)
		}
	}
	return string(text)
}

// ModelAllowed tells whether a key with these models, as scripts return them (with
// commas; "": any), may be used for a model. It is key_refusal's judgement in Go.
func ModelAllowed(models, id string) bool {
	if models == "" {
		return true
	}
	for entry := range strings.SplitSeq(models, ",") {
		if start, open := strings.CutSuffix(entry, "*"); entry == id || open && strings.HasPrefix(id, start) {
			return true
		}
	}
	return false
}

// details are what the audit log says of restrictions. Addresses are personal, and the
// log stays when the person leaves: it tells how many networks there are.
func (r Restrictions) details() map[string]any {
	details := map[string]any{"models": append([]string{}, r.Models...), "networks": len(r.Networks), "expires_at": nil}
	if !r.ExpiresAt.IsZero() {
		details["expires_at"] = r.ExpiresAt.UTC()
	}
	return details
}

// restrictionFields select the Restrictions of a row; what is null there is empty here,
// and a time the zero one.
const restrictionFields = `coalesce(models, '{}'), coalesce(allowed_ips, '{}'), coalesce(expires_at, timestamptz '0001-01-01 00:00:00+00')`

// columns are the restrictions as a row's values for models, allowed_ips and expires_at.
func (r Restrictions) columns() []any {
	var expires *time.Time
	if !r.ExpiresAt.IsZero() {
		expires = &r.ExpiresAt
	}
	return []any{nonEmpty(r.Models), nonEmpty(r.Networks), expires}
}

// nonEmpty is a list as a row has it: null where there is none.
func nonEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// scan are the places for restrictionFields, in their order.
func (r *Restrictions) scan() []any { return []any{&r.Models, &r.Networks, &r.ExpiresAt} }
