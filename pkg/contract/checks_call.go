package contract

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function"
)

const (
	greeting  = "hello world"
	largeSize = 10 << 20
)

func checkGet(ctx context.Context, t *trial) (string, error) {
	_, err := t.server.expect(ctx, request{}, http.StatusOK, greeting)
	return "", err
}

func checkMethods(ctx context.Context, t *trial) (string, error) {
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		r := request{method: method, kind: asText, body: "sent with " + method}
		if _, err := t.server.expect(ctx, r, http.StatusOK, r.body); err != nil {
			return "", err
		}
	}
	_, err := t.server.expect(ctx, request{method: http.MethodHead}, http.StatusOK, "")
	return "", err
}

func checkJSON(ctx context.Context, t *trial) (string, error) {
	value := map[string]any{"a": []any{1, 2.5, -3e10, nil, true, "text"}, "b": map[string]any{}}
	for _, kind := range []string{asJSON, asJSON + "; charset=utf-8"} {
		r := do("echo", map[string]any{"value": value})
		r.kind = kind
		a, err := t.server.expectJSON(ctx, r, value)
		if err != nil {
			return "", err
		}
		// Languages whose functions return text alone cannot tell JSON from it.
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, asJSON) && !strings.HasPrefix(got, "text/plain") {
			return "", fmt.Errorf("%s: want content type %s, got %q", a.request, asJSON, got)
		}
	}
	for _, value := range []any{map[string]any{"hello": "world"}, []any{1, "a"}, 17} {
		if _, err := t.server.expectJSON(ctx, request{kind: asJSON, body: encode(value)}, value); err != nil {
			return "", err
		}
	}
	return "", nil
}

func checkMalformedJSON(ctx context.Context, t *trial) (string, error) {
	for _, body := range []string{`{"a":`, `{"a":1}}`, `no JSON`} {
		a, err := t.server.call(ctx, request{kind: asJSON, body: body})
		if err != nil {
			return "", err
		}
		if a.status != http.StatusBadRequest {
			return "", a.unlike("400")
		}
	}
	return checkGet(ctx, t)
}

func checkText(ctx context.Context, t *trial) (string, error) {
	for _, body := range []string{"some text\n", `{"not":  "parsed"}`} {
		a, err := t.server.expect(ctx, request{kind: asText, body: body}, http.StatusOK, body)
		if err != nil {
			return "", err
		}
		if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
			return "", fmt.Errorf("%s: want content type text/plain, got %q", a.request, kind)
		}
	}
	return "", nil
}

func checkUnicode(ctx context.Context, t *trial) (string, error) {
	const text = "grüße, 世界 😀"
	a, err := t.server.expect(ctx, request{kind: asText, body: text}, http.StatusOK, text)
	if err != nil {
		return "", err
	}
	if kind := a.header.Get("Content-Type"); !strings.Contains(strings.ToLower(kind), "utf-8") {
		return "", fmt.Errorf("%s: want charset=utf-8 in the content type, got %q", a.request, kind)
	}
	if _, err := t.server.expect(ctx, do("echo", map[string]any{"value": text}), http.StatusOK, text); err != nil {
		return "", err
	}
	value := map[string]any{text: []any{text}}
	_, err = t.server.expectJSON(ctx, do("echo", map[string]any{"value": value}), value)
	return "", err
}

func checkBinary(ctx context.Context, t *trial) (string, error) {
	var all bytes.Buffer
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	if _, err := t.server.expect(ctx, do("bytes", nil), http.StatusOK, all.String()); err != nil {
		return "", err
	}
	a, err := t.server.call(ctx, request{kind: "application/octet-stream", body: all.String()})
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK {
		return "", a.unlike("200")
	}
	if a.body != all.String() {
		return "data that is no UTF-8 is changed on its way through the function", nil
	}
	return "", nil
}

func checkLargeBody(ctx context.Context, t *trial) (string, error) {
	body := strings.Repeat("0123456789abcde\n", largeSize/16)
	for _, chunked := range []bool{false, true} {
		if _, err := t.server.expect(ctx, request{kind: asText, body: body, chunked: chunked}, http.StatusOK, body); err != nil {
			if chunked {
				err = fmt.Errorf("without a declared length: %w", err)
			}
			return "", err
		}
	}
	return "", nil
}

func checkLargeAnswer(ctx context.Context, t *trial) (string, error) {
	_, err := t.server.expect(ctx, do("big", map[string]any{"bytes": largeSize}), http.StatusOK, strings.Repeat("x", largeSize))
	return "", err
}

func checkEvent(ctx context.Context, t *trial) (string, error) {
	r := do("event", nil)
	r.header = map[string]string{"Event-Id": "id-1", "Event-Type": "a.type", "Event-Time": "2026-01-02T03:04:05Z", "Event-Namespace": "a.namespace"}
	_, err := t.server.expectJSON(ctx, r, event("id-1", "a.type", "2026-01-02T03:04:05Z", "a.namespace"))
	return "", err
}

// event is what the contract function tells of an event.
func event(id, kind, time, namespace string) map[string]any {
	return map[string]any{"event-id": id, "event-type": kind, "event-time": time, "event-namespace": namespace}
}

func checkCloudEvents(ctx context.Context, t *trial) (string, error) {
	const id, kind, when, source = "ce-1", "com.example.made", "2026-01-02T03:04:05Z", "/a/source"
	want := event(id, kind, when, source)
	binary := do("event", nil)
	binary.header = map[string]string{"Ce-Specversion": "1.0", "Ce-Id": id, "Ce-Type": kind, "Ce-Time": when, "Ce-Source": source}
	if _, err := t.server.expectJSON(ctx, binary, want); err != nil {
		return "", fmt.Errorf("binary mode: %w", err)
	}
	structured := request{kind: "application/cloudevents+json", body: encode(map[string]any{
		"specversion": "1.0", "id": id, "type": kind, "time": when, "source": source,
		"datacontenttype": asJSON, "data": map[string]any{"do": "event"},
	})}
	if _, err := t.server.expectJSON(ctx, structured, want); err != nil {
		return "", fmt.Errorf("structured mode: %w", err)
	}
	return "", nil
}

func checkContext(ctx context.Context, t *trial) (string, error) {
	r := do("context", nil)
	a, err := t.server.call(ctx, r)
	if err != nil {
		return "", err
	}
	want := map[string]any{
		"function-name": t.settings.Handler, "timeout": strconv.Itoa(function.DefaultTimeout), "runtime": t.subject.Runtime + t.subject.Version, "memory-limit": unlimited,
	}
	if a.status != http.StatusOK || !sameTexts(a.body, want) {
		return "", a.unlike("200 %s", encode(want))
	}
	return "", nil
}

func checkRequest(ctx context.Context, t *trial) (string, error) {
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		r := do("request", nil)
		r.method, r.path, r.header = method, "/some/path", map[string]string{"X-Contract": "sent"}
		if _, err := t.server.expectJSON(ctx, r, map[string]any{"method": method, "path": "/some/path", "header": "sent"}); err != nil {
			return "", err
		}
	}
	return "", nil
}

func checkStatus(ctx context.Context, t *trial) (string, error) {
	for _, code := range []int{http.StatusTeapot, http.StatusCreated, http.StatusInternalServerError} {
		a, err := t.server.expect(ctx, do("status", map[string]any{"code": code}), code, "teapot")
		if err != nil {
			return "", err
		}
		if got := a.header.Get("X-Contract"); got != "set" {
			return "", fmt.Errorf("%s: want header X-Contract: set, got %q", a.request, got)
		}
	}
	return "", nil
}

// checkFraming has the function set headers that are not its own.
func checkFraming(ctx context.Context, t *trial) (string, error) {
	for _, set := range [][2]string{
		{"Content-Length", "3"}, {"content-length", "3000"}, {"Content-Length", "none"}, {"Transfer-Encoding", "chunked"}, {"transfer-encoding", "gzip"},
		{"Connection", "close"}, {"Connection", "X-Contract"}, {"X-Func-Error", "forged"}, {"X-Func-Concurrency", "99"}, {"x-func-cancel", "1"},
	} {
		a, err := t.server.call(ctx, do("header", map[string]any{"name": set[0], "text": set[1]}))
		if err != nil {
			return "", fmt.Errorf("the function sets %s: %s: %w", set[0], set[1], err)
		}
		own := strings.HasPrefix(strings.ToLower(set[0]), "x-func-") && a.header.Get(set[0]) != ""
		if a.status != http.StatusInternalServerError && (a.status != http.StatusOK || a.body != "framed") || own {
			return "", fmt.Errorf("the function sets %s: %s: %w", set[0], set[1], a.unlike("200 \"framed\" without that, or 500"))
		}
		if _, err := checkGet(ctx, t); err != nil {
			return "", fmt.Errorf("after the function set %s: %s: %w", set[0], set[1], err)
		}
	}
	return "", nil
}

func checkStream(ctx context.Context, t *trial) (string, error) {
	const parts, pause = 3, 1.0
	r := do("stream", map[string]any{"parts": parts, "seconds": pause})
	response, err := t.server.open(ctx, r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	var first, last time.Time
	for buffer := make([]byte, 1024); ; {
		n, err := response.Body.Read(buffer)
		if last = time.Now(); body.Len() == 0 {
			first = last
		}
		body.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if want := "part 0\npart 1\npart 2\n"; response.StatusCode != http.StatusOK || body.String() != want {
		return "", fmt.Errorf("%s: want 200 %q, got %d %s", r, want, response.StatusCode, quote(body.String()))
	}
	// Two seconds lie between them where they are sent as they are made.
	if between := last.Sub(first); between < time.Second/2 {
		return "", fmt.Errorf("%s: want parts as they are made, one each second, got all within %.1f s", r, between.Seconds())
	}
	return "", nil
}

func checkCORS(ctx context.Context, t *trial) (string, error) {
	const origin = "https://page.example"
	a, err := t.server.call(ctx, request{header: map[string]string{"Origin": origin}})
	if err != nil {
		return "", err
	}
	if err := a.allows(origin); err != nil {
		return "", err
	}
	preflight := request{method: http.MethodOptions, header: map[string]string{
		"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type",
	}}
	if a, err = t.server.call(ctx, preflight); err != nil {
		return "", err
	}
	if a.status/100 != 2 {
		return "", a.unlike("2xx for a preflight")
	}
	if err := a.allows(origin); err != nil {
		return "", err
	}
	for name, want := range map[string]string{"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "content-type"} {
		if got := a.header.Get(name); !strings.Contains(strings.ToLower(got), strings.ToLower(want)) && got != "*" {
			return "", fmt.Errorf("preflight %s: want %s in %s, got %q", a.request, want, name, got)
		}
	}
	return "", nil
}

func (a answer) allows(origin string) error {
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "*" && got != origin {
		return fmt.Errorf("%s with Origin %s: want header Access-Control-Allow-Origin * or the origin, got %q", a.request, origin, got)
	}
	return nil
}
