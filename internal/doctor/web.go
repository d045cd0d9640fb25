package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	pageMost = 1 << 20 // bytes that are read of an answer
	// pretended is the address that a call claims to come from: one of those that exist in
	// documentation alone.
	pretended = "203.0.113.77"
	hstsLeast = 180 * 24 * time.Hour
)

// Web is the public address, as browsers, clients and Telegram find it.
type Web struct {
	URL    string       // PUBLIC_URL, without a slash at its end; "": there is none
	Client *http.Client // that follows no redirect; see [NewWebClient]
	// Question is the header by which a server of this installation is asked where a call
	// counts as coming from; it answers nobody else.
	Question func() (name, value string)
	Now      func() time.Time
}

// Checks of the public address.
func (w Web) Checks() []Check {
	if w.URL == "" {
		return []Check{{"web", func(context.Context) []Finding {
			return []Finding{warning("set it to the https address at which Telegram and browsers reach this server", "PUBLIC_URL is not set: nothing can be looked at from outside.")}
		}}}
	}
	checks := []Check{
		{"web.answers", w.answers}, {"web.address", w.address}, {"web.headers", w.headers}, {"web.private", w.private},
		{"web.webhook", w.webhook}, {"web.app", w.app},
	}
	if w.secure() {
		checks = append(checks, Check{"web.certificate", w.certificate}, Check{"web.tls", w.oldTLS}, Check{"web.http2", w.http2}, Check{"web.redirect", w.redirect})
	} else {
		checks = append(checks, Check{"web.certificate", func(context.Context) []Finding {
			return []Finding{warning("put TLS in front, as nginx/ does, and set the https address", "PUBLIC_URL is plain http: keys and sessions travel in the open.")}
		}})
	}
	return checks
}

func (w Web) secure() bool { return strings.HasPrefix(w.URL, "https://") }

// page is an answer, read to its end.
type page struct {
	status int
	proto  int // HTTP's major version
	header http.Header
	body   string
}

// get asks for a path; headers are name, value, name, value.
func (w Web) get(ctx context.Context, method, path, body string, headers ...string) (page, error) {
	request, err := http.NewRequestWithContext(ctx, method, w.URL+path, strings.NewReader(body))
	if err != nil {
		return page{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := w.Client.Do(request)
	if err != nil {
		return page{}, withoutAddress(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, pageMost))
	return page{response.StatusCode, response.ProtoMajor, response.Header, string(text)}, err
}

// withoutAddress is what a call failed with; the address is known.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (w Web) answers(ctx context.Context) []Finding {
	p, err := w.get(ctx, http.MethodGet, "/health", "")
	switch {
	case err != nil:
		return []Finding{fault("start the proxy and kikuai serve, and look at the name's DNS and the firewall", "%s does not answer: %s.", w.URL, reason(err))}
	case p.status != http.StatusOK:
		return []Finding{fault("let the proxy hand /health to kikuai serve, and look at its log", "%s/health answers %d.", w.URL, p.status)}
	}
	return []Finding{well("%s answers.", w.URL)}
}

// address asks, with this installation's seal, where a call counts as coming from; and
// claims to come from elsewhere.
func (w Web) address(ctx context.Context) []Finding {
	name, question := w.Question()
	p, err := w.get(ctx, http.MethodGet, "/health", "", name, question,
		"X-Real-IP", pretended, "X-Forwarded-For", pretended, "Forwarded", "for="+pretended)
	if err != nil || p.status != http.StatusOK {
		return nil // which answers tells
	}
	var answer struct{ Address string }
	if err := json.Unmarshal([]byte(p.body), &answer); err != nil || answer.Address == "" {
		return []Finding{fault("let the name lead to this installation, and give all its servers the same KEY_PEPPER; servers of older releases do not know the question",
			"What answers at %s is not this installation, or has other peppers.", w.URL)}
	}
	if answer.Address == pretended {
		return []Finding{fault("let the proxy overwrite it (proxy_set_header X-Real-IP $remote_addr), and name but your proxies in TRUSTED_PROXIES",
			"Whoever calls can choose the address that they count as coming from: X-Real-IP is believed as it comes.")}
	}
	at, err := netip.ParseAddr(answer.Address)
	if err != nil || (at.IsPrivate() || at.IsLoopback()) && !w.near(ctx) {
		return []Finding{warning("name the proxy's network in TRUSTED_PROXIES, so that its X-Real-IP is believed; from the proxy's own machine it may be right",
			"Calls count as coming from %s, which is the proxy rather than the client: limits of addresses hit all at once.", answer.Address)}
	}
	return []Finding{well("A call counts as coming from where it comes from (%s), whatever it claims.", answer.Address)}
}

// headers are those that protect browsers.
func (w Web) headers(ctx context.Context) (found []Finding) {
	p, err := w.get(ctx, http.MethodGet, "/webapp/", "")
	if err != nil {
		return nil
	}
	const mend = "use the configuration in nginx/, where each location has it"
	for _, row := range [][2]string{
		{"Content-Security-Policy", "frame-ancestors"}, {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", ""},
	} {
		values := p.header.Values(row[0])
		switch {
		case len(values) == 0:
			found = append(found, fault(mend, "/webapp/ comes without the header %s.", row[0]))
		case len(values) > 1:
			found = append(found, warning("set it in one place: the server or the proxy", "/webapp/ comes with the header %s %d times.", row[0], len(values)))
		case !strings.Contains(values[0], row[1]):
			found = append(found, fault(mend, "The header %s of /webapp/ lacks %s.", row[0], row[1]))
		}
	}
	if w.secure() {
		if age := maxAge(p.header.Get("Strict-Transport-Security")); age < hstsLeast {
			found = append(found, warning(mend, "Strict-Transport-Security is missing or shorter than half a year."))
		}
	}
	if server := p.header.Get("Server"); strings.ContainsAny(server, "0123456789") {
		found = append(found, warning("set server_tokens off in nginx", "The header Server tells a version: %s.", server))
	}
	if len(found) == 0 {
		found = append(found, well("The headers that protect browsers are there."))
	}
	return found
}

func maxAge(header string) time.Duration {
	for part := range strings.SplitSeq(header, ";") {
		if value, is := strings.CutPrefix(strings.TrimSpace(strings.ToLower(part)), "max-age="); is {
			seconds, err := strconv.ParseInt(value, 10, 32)
			if err == nil {
				return time.Duration(seconds) * time.Second
			}
		}
	}
	return 0
}

// private is what the world must not see.
func (w Web) private(ctx context.Context) (found []Finding) {
	for _, path := range []string{"/metrics", "/performance/health", "/performance/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		p, err := w.get(ctx, http.MethodGet, path, "")
		if err != nil {
			return nil
		}
		if p.status < http.StatusMultipleChoices {
			found = append(found, fault("answer 404 there in the proxy, and keep OPS_ADDR on loopback or a private network", "%s is public.", path))
		}
	}
	p, err := w.get(ctx, http.MethodGet, "/readyz", "")
	if err == nil && strings.Contains(p.body, `"checks"`) {
		found = append(found, warning("answer 404 there in the proxy: balancers ask the servers themselves", "/readyz is public, and tells which part is down."))
	}
	if len(found) == 0 {
		found = append(found, well("Metrics, profiles and readiness are not public."))
	}
	return found
}

// webhook is where Telegram delivers; nobody else should come so far as to be asked for
// the secret.
func (w Web) webhook(ctx context.Context) []Finding {
	p, err := w.get(ctx, http.MethodPost, "/webhook", "{}", "Content-Type", "application/json")
	switch {
	case err != nil:
		return nil
	case p.status < http.StatusMultipleChoices:
		return []Finding{fault("set WEBHOOK_SECRET, and run kikuai webhook set", "/webhook takes updates without the secret.")}
	case p.status == http.StatusUnauthorized:
		return []Finding{warning("let the proxy take /webhook from Telegram's networks alone: 149.154.160.0/20 and 91.108.4.0/22", "/webhook asks anybody for the secret.")}
	case p.status >= http.StatusInternalServerError:
		return []Finding{fault("look at the proxy's log and at kikuai serve", "/webhook answers %d.", p.status)}
	}
	return []Finding{well("/webhook is closed to others than Telegram (%d).", p.status)}
}

// near tells whether the address is of this machine or network, where callers are private.
func (w Web) near(ctx context.Context) bool {
	u, err := url.Parse(w.URL)
	if err != nil {
		return false
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	for _, a := range addresses {
		if a.IsPrivate() || a.IsLoopback() {
			return true
		}
	}
	return err != nil
}
