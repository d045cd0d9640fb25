package doctor

import (
	"context"
	"net/http"
	"regexp"
	"strings"
)

// asset is a file of the Mini App with a sum of its content in its name.
var asset = regexp.MustCompile(`/webapp/assets/[A-Za-z0-9_.-]+-[A-Za-z0-9_-]{8,}\.(?:js|css)`)

// app is whether the Mini App is served, and kept by browsers as long as it should be:
// a page that is kept too long is an old one, and an asset that is not found and kept is
// an app that stays broken.
func (w Web) app(ctx context.Context) (found []Finding) {
	index, err := w.get(ctx, http.MethodGet, "/webapp/", "")
	if err != nil {
		return nil
	}
	const mend = "use the configuration in nginx/, or let the proxy hand /webapp/ to kikuai serve as it is"
	if index.status != http.StatusOK || !strings.HasPrefix(index.header.Get("Content-Type"), "text/html") {
		return []Finding{fault("build with make build, which needs Node 20, and let the proxy serve /webapp/", "The Mini App is not served: /webapp/ answers %d.", index.status)}
	}
	if kept := index.header.Values("Cache-Control"); len(kept) != 1 || kept[0] != "no-cache" {
		found = append(found, fault(mend, "The Mini App's page has Cache-Control %q, and no-cache is right: browsers would show an old one.", strings.Join(kept, " | ")))
	}
	names := asset.FindAllString(index.body, -1)
	if len(names) == 0 {
		return append(found, fault("build it again with make build", "The Mini App's page names no files."))
	}
	file, err := w.get(ctx, http.MethodGet, names[0], "", "Accept-Encoding", "br, gzip")
	if err != nil {
		return found
	}
	switch kept := file.header.Get("Cache-Control"); {
	case file.status != http.StatusOK:
		found = append(found, fault("let the proxy's files and the servers be of one release", "%s is named by the page and answers %d.", names[0], file.status))
	case !strings.Contains(kept, "immutable"):
		found = append(found, warning(mend, "%s has Cache-Control %q: it never changes and could be kept.", names[0], kept))
	case file.header.Get("Content-Encoding") == "":
		found = append(found, warning(mend, "%s comes uncompressed.", names[0]))
	}
	gone, err := w.get(ctx, http.MethodGet, "/webapp/assets/none-00000000.js", "")
	if err == nil && (gone.status != http.StatusNotFound || gone.header.Get("Cache-Control") != "no-store") {
		found = append(found, fault(mend, "A file that is not there answers %d with Cache-Control %q, and 404 with no-store is right: browsers would keep the hole.", gone.status, gone.header.Get("Cache-Control")))
	}
	if len(found) == 0 {
		found = append(found, well("The Mini App is served compressed, and kept as long as it should be."))
	}
	return found
}
