package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"
	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// specification is openapi.yaml, to hold answers against.
type specification struct {
	t        *testing.T
	document gjson.Result
	compiler *jsonschema.Compiler
	found    map[string]place // by pointer, since looking is slow
}

// place is a part of the document.
type place struct {
	value gjson.Result
	where string
}

const specificationName = "https://kikuai.test/openapi.json"

func readSpecification(t *testing.T) *specification {
	t.Helper()
	d, err := newDocuments()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.json.content))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(specificationName, whole); err != nil {
		t.Fatal(err)
	}
	return &specification{t, gjson.ParseBytes(d.json.content), c, map[string]place{}}
}

// at is what stands at a JSON pointer, and where: references are followed.
func (s *specification) at(pointer string) (gjson.Result, string) {
	p, known := s.found[pointer]
	if !known {
		p.value, p.where = s.look(pointer)
		s.found[pointer] = p
	}
	return p.value, p.where
}

func (s *specification) look(pointer string) (gjson.Result, string) {
	found := s.document
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		next := gjson.Result{}
		found.ForEach(func(name, value gjson.Result) bool {
			if name.String() == step {
				next = value
			}
			return next.Type == gjson.Null
		})
		found = next
	}
	if ref := found.Get("$ref"); ref.Exists() {
		return s.at(strings.TrimPrefix(ref.Str, "#"))
	}
	return found, pointer
}

func step(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// operations are "GET /path" of all that this package serves.
func (s *specification) operations() (list []string) {
	s.document.Get("paths").ForEach(func(path, methods gjson.Result) bool {
		methods.ForEach(func(method, operation gjson.Result) bool {
			if method.Str != "parameters" && !operation.Get("x-served-by").Exists() {
				list = append(list, strings.ToUpper(method.Str)+" "+path.Str)
			}
			return true
		})
		return true
	})
	slices.Sort(list)
	return list
}

// fits holds an answer to an operation's description: status, headers, body, and that no
// member of it is left undescribed.
func (s *specification) fits(operation string, a answer) {
	s.t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	base := "/paths" + step(path) + "/" + strings.ToLower(method) + "/responses/"
	response, where := s.at(base + fmt.Sprint(a.status))
	if !response.Exists() {
		response, where = s.at(base + "default")
	}
	if !response.Exists() || a.status < 400 && strings.HasSuffix(where, "/Error") {
		s.t.Errorf("%s: %d is not described: %.300s", operation, a.status, a.body)
		return
	}
	response.Get("headers").ForEach(func(name, _ gjson.Result) bool {
		header, _ := s.at(where + "/headers" + step(name.Str))
		got := a.header.Get(name.Str)
		if want := header.Get("schema.const"); header.Get("required").Bool() && got == "" || want.Exists() && got != want.Str {
			s.t.Errorf("%s: %d with %s: %q", operation, a.status, name.Str, got)
		}
		return true
	})
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	_, content := s.at(where + "/content" + step(kind) + "/schema")
	if found, _ := s.at(where + "/content" + step(kind)); !found.Exists() {
		if response.Get("content").Exists() {
			s.t.Errorf("%s: %d in %q", operation, a.status, kind)
		}
		return
	}
	if kind != fiber.MIMEApplicationJSON {
		return
	}
	schema, err := s.compiler.Compile(specificationName + "#" + where + "/content" + step(kind) + "/schema")
	if err != nil {
		s.t.Fatalf("%s: %v", operation, err)
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = schema.Validate(body)
	}
	if err != nil {
		s.t.Errorf("%s: %d %.500s: %v", operation, a.status, a.body, err)
	}
	s.described(operation, content, gjson.Parse(a.body))
}

// described says which members of a value no schema tells of.
func (s *specification) described(operation, pointer string, value gjson.Result) {
	s.t.Helper()
	switch {
	case value.IsArray():
		for _, item := range value.Array() {
			for _, schema := range s.parts(pointer) {
				if _, where := s.at(schema + "/items"); s.has(where) {
					s.described(operation, where, item)
				}
			}
		}
	case value.IsObject():
		value.ForEach(func(name, member gjson.Result) bool {
			known := false
			for _, schema := range s.parts(pointer) {
				found, _ := s.at(schema)
				if _, where := s.at(schema + "/properties" + step(name.Str)); s.has(where) {
					known = true
					s.described(operation, where, member)
				}
				known = known || found.Raw == "{}" || found.Get("additionalProperties").IsObject() || found.Get("type").Str == "object" && !found.Get("properties").Exists()
			}
			if !known {
				s.t.Errorf("%s: nothing tells of the member %q", operation, name.Str)
			}
			return true
		})
	}
}

func (s *specification) has(pointer string) bool {
	found, _ := s.at(pointer)
	return found.Exists()
}

// parts are a schema and those it is made of.
func (s *specification) parts(pointer string) (all []string) {
	found, where := s.at(pointer)
	all = append(all, where)
	for _, made := range []string{"allOf", "oneOf"} {
		for i := range found.Get(made).Array() {
			// An array's places are not names: resolve them by hand.
			one := found.Get(fmt.Sprintf("%s.%d", made, i))
			if ref := one.Get("$ref"); ref.Exists() {
				all = append(all, s.parts(strings.TrimPrefix(ref.Str, "#"))...)
			} else {
				all = append(all, fmt.Sprintf("%s/%s/%d", where, made, i))
			}
		}
	}
	return all
}

// Every route is described, and everything described is a route.
func TestOpenAPIRoutes(t *testing.T) {
	spec := readSpecification(t)
	r := newRig(t, func(s *setup) {
		there := func(c *fiber.Ctx) error { return c.SendStatus(200) }
		s.server.Webhook, s.server.MiniApp = there, there
	})
	var routes []string
	for _, route := range r.server.table() {
		if route.handler == nil || route.method == http.MethodHead {
			continue
		}
		path := strings.NewReplacer("/v1/models/+", "/v1/models/{model}", ":id", "{id}", "/webapp/*", "/webapp/{file}").Replace(route.path)
		if found := spec.document.Get("paths." + gjson.Escape(path) + "." + strings.ToLower(route.method)); found.Get("x-served-by").Exists() {
			continue
		}
		routes = append(routes, route.method+" "+path)
	}
	slices.Sort(routes)
	if described := spec.operations(); !slices.Equal(routes, described) {
		for _, one := range routes {
			if !slices.Contains(described, one) {
				t.Errorf("%s is not described", one)
			}
		}
		for _, one := range described {
			if !slices.Contains(routes, one) {
				t.Errorf("%s is described and not served", one)
			}
		}
	}
}

// liveSocket is described here and served by who has sockets: webapp's tests ask it.
const liveSocket = "GET /api/v1/live"

// walker asks at random, with what it has been told before.
type walker struct {
	*rig
	dice   *rand.Rand
	spec   *specification
	key    string
	ids    []int64  // of keys
	cursor []string // from whichever list
	asked  map[string]map[int]int
}

func (w *walker) one(list ...string) string { return list[w.dice.IntN(len(list))] }

// step makes one request and holds its answer to the description.
func (w *walker) step(operation, query, body string, headers ...string) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	id := 1_000_000 + int64(w.dice.IntN(5)) // nobody's; never the key that asks, which may restrict itself
	if len(w.ids) > 0 && w.dice.IntN(3) > 0 {
		id = w.ids[w.dice.IntN(len(w.ids))]
	}
	a := w.do(method, strings.Replace(path, "{id}", fmt.Sprint(id), 1)+query, w.one(w.key, w.key, w.key, w.key, w.key, w.key, "", "kk_nonsense"), body, headers...)
	w.spec.fits(operation, a)
	if w.asked[operation] == nil {
		w.asked[operation] = map[int]int{}
	}
	w.asked[operation][a.status]++
	if next := a.get("next_cursor").Str; next != "" {
		w.cursor = append(w.cursor, next)
	}
	return a
}

func (w *walker) parameters() string {
	list := []string{
		"from=" + w.one("2026-03-26", "2026-03-28T03:00:00Z", "2016-01-01", "x"), "to=" + w.one("2026-04-01", "2026-03-30", "2026-03-30T12:34:56Z"),
		"tz=" + w.one("UTC", "Asia/Kolkata", "Australia/Lord_Howe", "Mars"), "model=" + w.one("model-1", "nonesuch"), "key_id=" + w.one("0", "1", "2", "x"),
		"group_by=" + w.one("day", "hour", "model", "key", "day,model,key", "week"), "include_details=" + w.one("true", "false"),
		"limit=" + w.one("1", "3", "500", "0"), "calls=" + w.one("true", "false", "maybe"), "include_revoked=" + w.one("true", "false"),
	}
	if len(w.cursor) > 0 && w.dice.IntN(2) == 0 {
		list = append(list, "cursor="+w.cursor[w.dice.IntN(len(w.cursor))])
	}
	w.dice.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return "?from=2026-03-26&to=2026-04-01&" + strings.Join(list[:w.dice.IntN(4)], "&")
}

// Answers of a random walk over the account's API are as they are described, whatever is
// asked.
func TestAnswersFitTheirDescription(t *testing.T) {
	r := newRig(t, func(s *setup) { s.starNano, s.server.Invoices = 13_000_000, links{} })
	account, key := r.account(10 * dollar)
	r.past(account, spring(r.keyID(key), 60))
	testenv.Until(r.t, "calls of so long ago are no lag of the ledger any more", func() bool { return r.chat(key, "paid").status == 200 })
	w := &walker{rig: r, dice: rand.New(rand.NewPCG(11, 12)), spec: readSpecification(t), key: key, asked: map[string]map[int]int{}}
	bodies := map[string][]string{
		"PATCH /api/v1/settings":         {`{"language":"ru"}`, `{"favourites":["paid"],"persona":"x","forget_after_seconds":60}`, `{"persona":null,"time_zone":"Asia/Kolkata"}`, `{"x":1}`, `[]`},
		"POST /api/v1/usage/export/chat": {`{"from":"2026-03-26","to":"2026-04-01"}`, `{"rows":"days"}`, `{"rows":1}`},
		"POST /api/v1/keys":              {`{"name":"a"}`, `{"budget":{"month_usd":"5"},"models":["paid"],"expires_at":"2030-01-01T00:00:00Z"}`, `{"limits":{"rpm":5,"per_second":"1.5","burst":3},"allowed_ips":["203.0.113.7"]}`, `{"models":"x"}`},
		"PATCH /api/v1/keys/{id}":        {`{"name":"b"}`, `{"limits":null}`, `{"budget":{"day_usd":"1"}}`, `{"expires_at":"x"}`},
		"POST /api/v1/payment/topup":     {`{"method":"stars","stars":100}`, `{"method":"stars","usd":"1.00"}`, `{"method":"card","usd":"1.00"}`, `{}`},
	}
	bodies["POST /graphql"] = []string{`{"query":"{account{usage(group_by:[day]){rows{cost_usd}}}}"}`, `{"query":"{x}"}`, `[]`}
	operations := slices.DeleteFunc(w.spec.operations(), func(o string) bool {
		return !strings.Contains(o, " /api/") && !strings.Contains(o, " /graphql") || strings.Contains(o, "/proxy/") || strings.Contains(o, "/webhook/") || strings.Contains(o, "/session") || o == liveSocket
	})
	for round := range 14 {
		for _, operation := range operations {
			var headers []string
			if w.dice.IntN(3) == 0 {
				headers = []string{"Idempotency-Key", w.one("a", "b", strings.Repeat("k", 300)), "If-None-Match", "*"}
			}
			body := ""
			if choices := bodies[operation]; choices != nil {
				body = w.one(choices...)
			}
			a := w.step(operation, w.parameters(), body, headers...)
			if id := a.get("id").Int(); operation == "POST /api/v1/keys" && id > 0 {
				w.ids = append(w.ids, id)
			}
		}
		if round == 7 {
			month := int64(dollar)
			o, err := r.desk.Organisations.Create(t.Context(), "walked", billing.OrganisationChange{BudgetMonth: &month}, billing.Operator("test"))
			r.must(err)
			r.must(r.desk.Organisations.Add(t.Context(), o.ID, account, billing.Operator("test")))
		}
	}
	for _, operation := range operations {
		good := 0
		for status, n := range w.asked[operation] {
			if status < 400 {
				good += n
			}
		}
		if good == 0 {
			t.Errorf("%s never went well: %v", operation, w.asked[operation])
		}
	}
}

// links are invoices of nowhere.
type links struct{}

func (links) InvoiceLink(_ context.Context, _, stars int64, _ bool) (string, error) {
	return fmt.Sprintf("https://t.me/$%d", stars), nil
}

// Nothing of an account is told to another, or changed by it, on whichever route.
func TestNobodyElse(t *testing.T) {
	r := newRig(t)
	spec := readSpecification(t)
	account, key := r.account(10 * dollar)
	_, strange := r.account(dollar)
	const mark = "secret-of-the-first"
	id := r.keyID(key)
	calls := spring(id, 20)
	for i := range calls {
		calls[i].model = mark
	}
	r.past(account, calls)
	named := r.manage("POST", "", key, `{"name":"`+mark+`"}`).want(t, 201).get("id").Int()
	r.do("PATCH", "/api/v1/settings", key, `{"persona":"`+mark+`"}`).want(t, 200)
	o, err := r.desk.Organisations.Create(t.Context(), mark, billing.OrganisationChange{}, billing.Operator("test"))
	r.must(err)
	r.must(r.desk.Organisations.Add(t.Context(), o.ID, account, billing.Operator("test")))
	cursor := r.do("GET", "/api/v1/usage/calls?from=2026-03-26&to=2026-04-01&limit=1", key, "").get("next_cursor").Str
	before := r.state(account)
	marked := 0
	for _, operation := range spec.operations() {
		method, path, _ := strings.Cut(operation, " ")
		questions := []string{""}
		if strings.HasPrefix(path, "/api/") {
			questions = append(questions, "?from=2026-03-26&to=2026-04-01&group_by=day,model,key", fmt.Sprintf("?from=2026-03-26&to=2026-04-01&key_id=%d", id),
				"?from=2026-03-26&to=2026-04-01&limit=1&cursor="+cursor, "?include_revoked=true", fmt.Sprintf("?account_id=%d&from=2026-03-26&to=2026-04-01", account))
		}
		if operation == liveSocket {
			continue
		}
		if security, _ := spec.at("/paths" + step(path) + "/" + strings.ToLower(method) + "/security"); security.Raw == "[]" {
			continue
		}
		path = strings.NewReplacer("{id}", fmt.Sprint(named), "{model}", "paid").Replace(path)
		for _, query := range questions {
			for _, body := range []string{"", `{"name":"taken over"}`, `{"persona":"taken over"}`, fmt.Sprintf(`{"from":"2026-03-26","to":"2026-04-01","key_id":%d}`, id)} {
				if body != "" && (method == http.MethodGet || method == http.MethodDelete) {
					continue
				}
				if method == http.MethodGet {
					if own := r.do(method, path+query, key, ""); strings.Contains(own.body, mark) {
						marked++
					}
				}
				a := r.do(method, path+query, strange, body)
				if strings.Contains(a.body, mark) || strings.Contains(a.body, fmt.Sprintf(`"key_id":%d`, id)) && !strings.Contains(query, "key_id") {
					t.Errorf("%s%s tells %s", operation, query, a.body)
				}
				if strings.Contains(operation, "{id}") && a.status != 404 && a.status != 400 {
					t.Errorf("%s of somebody else's key: %d %s", operation, a.status, a.body)
				}
				if a.status >= 500 && a.status != 502 {
					t.Errorf("%s%s %s: %d %s", operation, query, body, a.status, a.body)
				}
			}
		}
		for _, token := range []string{"", "kk_1_x", strange + "x"} {
			if a := r.do(method, path, token, "{}"); a.status != 401 {
				t.Errorf("%s with the key %q: %d", operation, token, a.status)
			}
		}
	}
	if marked < 8 {
		t.Errorf("its owner saw the mark %d times: the matrix shows nothing", marked)
	}
	for _, file := range r.reports.files {
		if bytes.Contains(file.Content, []byte(mark)) || file.AccountID == account {
			t.Errorf("a file of the first account: %s", file.Content)
		}
	}
	if after := r.state(account); !maps.Equal(before, after) {
		t.Errorf("before %v, after %v", before, after)
	}
}

// state is what the account's pages tell its owner.
func (r *rig) state(account int64) map[string]string {
	r.t.Helper()
	state := map[string]string{}
	settings, err := r.desk.Settings.Read(r.t.Context(), account)
	r.must(err)
	state["settings"] = fmt.Sprint(settings)
	keys, err := r.desk.Keys.List(r.t.Context(), account)
	r.must(err)
	for _, key := range keys {
		key.LastUsedAt = time.Time{}
		text, err := json.Marshal(key)
		r.must(err)
		state[fmt.Sprint(key.ID)] = string(text)
	}
	balance := r.balance(account)
	state["balance"] = fmt.Sprint(balance)
	return state
}

// The description and its page are there for everybody, without anything from elsewhere.
func TestDocs(t *testing.T) {
	r := newRig(t)
	page := r.do("GET", "/api/docs", "", "").want(t, 200)
	for _, want := range []string{"/api/v1/usage/export", `id="Settings"`, "forget_after_seconds", "group_by"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not tell of %s", want)
		}
	}
	policy := page.header.Get("Content-Security-Policy")
	if strings.Contains(page.body, "<script") || strings.Contains(page.body, "ZgotmplZ") || strings.Contains(page.body, "://") || !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("it needs something from elsewhere: %s", policy)
	}
	text := r.do("GET", "/api/openapi.yaml", "", "").want(t, 200)
	if text.body != string(openapiYAML) || text.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("the file is another: %v", text.header)
	}
	tag := text.header.Get("Etag")
	r.do("GET", "/api/openapi.yaml", "", "", "If-None-Match", tag).want(t, 304)
	if a := r.do("GET", "/api/openapi.json", "", "", "If-None-Match", tag).want(t, 200); a.get("openapi").Str != "3.1.0" {
		t.Errorf("as JSON: %.100s", a.body)
	}
}

// Every code that an error may have is described with its status, and no other.
func TestErrorCodesAreDescribed(t *testing.T) {
	var d description
	if err := yaml.Unmarshal(openapiYAML, &d); err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for _, e := range d.Errors {
		if _, twice := described[e.Code]; twice || e.Description == "" {
			t.Errorf("%s is described twice, or not", e.Code)
		}
		described[e.Code] = fmt.Sprint(e.Status)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`status: (\d+|e\.Code), code: "(\w+)"|p\.code, p\.message = ()"(\w+)"`)
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(source), `code: "`) != strings.Count(string(source), `, code: "`) {
			t.Errorf("%s: a code without its status before it", file)
		}
		for _, m := range made.FindAllStringSubmatch(string(source), -1) {
			code := m[2] + m[4]
			seen[code] = true
			if status, is := described[code]; !is || m[1] != "" && m[1] != "e.Code" && m[1] != status {
				t.Errorf("%s: %s with status %s is described as %q", file, code, m[1], status)
			}
		}
	}
	for code := range described {
		if !seen[code] {
			t.Errorf("%s is described and never comes", code)
		}
	}
}
