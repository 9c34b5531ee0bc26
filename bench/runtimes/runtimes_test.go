package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func TestFind(t *testing.T) {
	runtimes := []manifest.Runtime{
		{ID: "go", Versions: []manifest.Version{{Version: "1.9"}, {Version: "1.26"}, {Version: "1.24"}}},
		{ID: "none"},
	}
	for name, want := range map[string]string{"go": "1.26", "go:1.9": "1.9", "go:2": "", "none": "", "java": ""} {
		r, v, err := find(runtimes, name)
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "go:1.24")):
			t.Errorf("%s: got error %v, want one that names the versions", name, err)
		case want != "" && (err != nil || r.ID != "go" || v.Version != want):
			t.Errorf("%s: got %s %s, %v, want %s", name, r.ID, v.Version, err, want)
		}
	}
}

func TestRecords(t *testing.T) {
	for _, size := range []int{1 << 10, 100 << 10} {
		data := records(size)
		var object struct{ Records []map[string]any }
		if err := json.Unmarshal(data, &object); err != nil || len(data) != size || len(object.Records) < 5 {
			t.Errorf("%d bytes: got %d with %d records, %v", size, len(data), len(object.Records), err)
		}
	}
}

// TestCheck tells servers that do what is measured from others.
func TestCheck(t *testing.T) {
	answers := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	all := loads()
	for _, c := range []struct {
		load   load
		server http.HandlerFunc
		right  bool
	}{
		{all[0], answers("hello world\n"), true},
		{all[0], answers("hello"), false},
		{all[1], echo, true},
		{all[1], answers("hello world"), false},
		{all[1], func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusCreated); echo(w, r) }, false},
	} {
		server := httptest.NewServer(c.server)
		err := c.load.check(t.Context(), listening(server))
		server.Close()
		if (err == nil) != c.right {
			t.Errorf("%s: got %v, want right: %t", c.load.name, err, c.right)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for process, want := range map[string][]string{
		"java -XX:Flags=a -cp b Worker": {"java", "-XX:Flags=a", "-cp", "b", "Worker"},
		"php 'a b.php'":                 {"/bin/sh", "-c", "php 'a b.php'"},
		"A=1 php":                       {"/bin/sh", "-c", "A=1 php"},
	} {
		if got := commandLine(process); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", process, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"":                          "",
		"--loads hello --clients 7": "",
		"--env A=1 --env B=2=3":     "",
		"--env A":                   "NAME=VALUE",
		"--loads hallo":             "hallo",
		"--clients 0":               "clients",
		"--clients=":                "clients",
		"--servers classic":         "classic",
		"--seconds 0":               "seconds",
		"--output xml":              "xml",
		"python":                    "--runtimes",
	} {
		o, err := parse(strings.Fields(line), io.Discard)
		if want == "" && (err != nil || len(o.bench.loads) == 0 || len(o.bench.clients) == 0) {
			t.Errorf("%q: got %+v, %v", line, o, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got error %v, want %q in it", line, err, want)
		}
	}
}

func TestTable(t *testing.T) {
	all := loads()
	measured := func(load string, clients int) measurement {
		m := measurement{Load: load, Clients: clients, LoadAverage: 0.5, MemoryBytes: 20 << 20}
		m.set(result{perSecond: 1234.5, p50: 250 * time.Microsecond, p99: 2 * time.Millisecond, calls: 10, failures: 1, failure: errors.New("status 503")})
		return m
	}
	broken := measurement{Load: "hello", Clients: 32, LoadAverage: 1.5}
	broken.fail(errors.New("no answer"))
	d := &document{Servers: []*server{
		{Runtime: "a", Version: "1", Server: asProxy, ImageBytes: 120e6, ColdStarts: []coldStart{{3, 0.3}, {1, 0.1}, {2, 0.2}},
			Measurements: []measurement{measured("hello", 1), broken, measured("json1k", 1)}},
		{Runtime: "a", Version: "1", Server: asBare, Note: "none"},
	}}
	var out strings.Builder
	if err := d.table(&out, []int{1, 32}, all[:2]); err != nil {
		t.Fatal(err)
	}
	const want = `| runtime | server | load | c=1: req/s | p50 ms | p99 ms | c=32: req/s | p50 ms | p99 ms | failed | load average |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| a 1 | proxy | hello | 1234 | 0.25 | 2.00 | error |  |  | 1 | 0.5–1.5 |
| a 1 | proxy | json1k | 1234 | 0.25 | 2.00 |  |  |  | 1 | 0.5–0.5 |

| runtime | server | cold start, s | of it running, s | image, MB | MiB after c=1 | MiB after c=32 | note |
| --- | --- | --- | --- | --- | --- | --- | --- |
| a 1 | proxy | 2.00 | 0.20 | 120 | 20 |  |  |
| a 1 | bare |  |  |  |  |  | none |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := d.err(); err == nil || err.Error() != "a 1 proxy: hello, 32 clients: no answer" {
		t.Errorf("got error %v", err)
	}
}
