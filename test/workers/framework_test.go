package workers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// upload is a form with a nested field and a file of all bytes.
func upload() string {
	var file strings.Builder
	for i := range 2560 {
		file.WriteByte(byte(i))
	}
	return "--x\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\nBücher\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.bin\"\r\nContent-Type: image/png\r\n\r\n" + file.String() + "\r\n--x--\r\n"
}

// TestRequestsOfFrameworks asks requests for what their framework's
// documentation says: Sinatra's and Rack's for Ruby, PSR-7 for PHP. Python and
// Node.js have tests of their own.
func TestRequestsOfFrameworks(t *testing.T) {
	want := map[string]map[string]any{
		"ruby": {
			"params": map[string]any{"q": []any{"1", "2"}, "a": map[string]any{"b": "Bücher"}, "file": []any{"a b.bin", "image/png", 2560.0}},
			"get":    map[string]any{"q": []any{"1", "2"}}, "post?": true, "xhr?": true, "secure?": true, "safe?": false, "idempotent?": false,
			"forwarded?": false, "base_url": "https://example.org:81", "url": "https://example.org:81/a%20b?q[]=1&q[]=2", "port": 81.0, "host": "example.org",
			"scheme": "https", "script_name": "", "accept": []any{"application/json", "text/html"}, "preferred_type": "application/json",
			"accept?": true, "cookies": map[string]any{"c": "d e"}, "referer": "http://r/", "media_type": "multipart/form-data", "form_data?": true,
			"content_length": "2727", "respond_to": false, "body": 2727.0,
		},
		"php": {
			"method": "POST", "target": "/a%20b?q[]=1&q[]=2", "uri": "https://example.org:81/a%20b?q[]=1&q[]=2", "authority": "example.org:81", "port": 81.0,
			"query": map[string]any{"q": []any{"1", "2"}}, "body": map[string]any{"a": map[string]any{"b": "Bücher"}},
			"file": []any{"a b.bin", "image/png", 2560.0, 0.0, 2560.0}, "cookies": map[string]any{"c": "d e"}, "header": "text/html;q=.5, application/json",
			"attribute": []any{"value", nil}, "with": []any{"PUT", "/x", "2", "http://h:8/p?q=1#f", "h:8", "e=f", "new", []any{}},
			"unchanged": []any{"POST", "1.1", 2727.0}, "post": map[string]any{"a": map[string]any{"b": "Bücher"}},
		},
	}
	for _, l := range languages() {
		if want[l.name] == nil {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			conn := start(t, l).dial(t)
			body := upload()
			fmt.Fprintf(conn, "POST /a%%20b?q[]=1&q[]=2 HTTP/1.1\r\nHost: example.org:81\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.1\r\n"+
				"X-Requested-With: XMLHttpRequest\r\nReferer: http://r/\r\nAccept: text/html;q=.5, application/json\r\nCookie: c=d%%20e\r\n"+
				"Event-Type: {\"kind\":\"request\"}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			a, err := readAnswer(bufio.NewReader(conn), "POST")
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Fatalf("%v in %s", err, a.body)
			}
			for name, value := range want[l.name] {
				if !reflect.DeepEqual(got[name], value) {
					t.Errorf("%s is %#v, not %#v", name, got[name], value)
				}
			}
		})
	}
}
