package contract

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// The families of /metrics and their types.
const (
	callsTotal    = "function_calls_total"
	failuresTotal = "function_failures_total"
	durations     = "function_duration_seconds"
)

func checkMetrics(ctx context.Context, t *trial) (string, error) {
	before, err := t.server.metrics(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range []request{{}, {}, {}, {kind: asText, body: "data"}, do("echo", map[string]any{"value": 1}), do("fail", nil)} {
		if _, err := t.server.call(ctx, r); err != nil {
			return "", err
		}
	}
	wanted := []struct {
		family, method string
		more           float64
	}{
		{callsTotal, http.MethodGet, 3}, {callsTotal, http.MethodPost, 3},
		{failuresTotal, http.MethodGet, 0}, {failuresTotal, http.MethodPost, 1},
		{durations, http.MethodGet, 3}, {durations, http.MethodPost, 3},
	}
	// A count may come a moment after the answer.
	for deadline := time.Now().Add(10 * time.Second); ; {
		after, err := t.server.metrics(ctx)
		if err != nil {
			return "", err
		}
		var wrong []string
		for _, w := range wanted {
			got := after.calls(w.family, w.method) - before.calls(w.family, w.method)
			if got != w.more {
				wrong = append(wrong, fmt.Sprintf("calls in %s{method=%q}: %+g, want %+g", w.family, w.method, got, w.more))
			}
		}
		if len(wrong) == 0 {
			return "", after.types(map[string]string{callsTotal: "counter", failuresTotal: "counter", durations: "histogram"})
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("after 3 GET, 2 POST and a POST that fails: %s", strings.Join(wrong, "; "))
		}
		if err := pause(ctx, pollPause); err != nil {
			return "", err
		}
	}
}

func (s *server) metrics(ctx context.Context) (metrics, error) {
	a, err := s.call(ctx, request{path: "/metrics"})
	if err != nil {
		return metrics{}, err
	}
	if a.status != http.StatusOK {
		return metrics{}, a.unlike("200 and metrics")
	}
	parsed, err := parseMetrics(a.body)
	if err != nil {
		return metrics{}, fmt.Errorf("GET /metrics: %w", err)
	}
	return parsed, nil
}

func checkAccessLog(ctx context.Context, t *trial) (string, error) {
	path := "/access-log/" + rand.Text()
	body := strings.Repeat("a", 4321)
	if _, err := t.server.expect(ctx, request{path: path, kind: asText, body: body}, http.StatusOK, body); err != nil {
		return "", err
	}
	failing := do("fail", nil)
	failing.path, failing.method = path+"/fails", http.MethodPut
	if _, err := t.server.call(ctx, failing); err != nil {
		return "", err
	}
	line := ""
	err := t.server.awaitLog(ctx, func(output containers.Output) error {
		lines := slices.Collect(strings.Lines(output.Stdout))
		var errFirst, errSecond error
		line, errFirst = accessLine(lines, path, http.MethodPost, "200", "4321")
		_, errSecond = accessLine(lines, failing.path, http.MethodPut, "500", "")
		return errors.Join(errFirst, errSecond)
	})
	return strings.TrimSpace(line), err
}

var (
	logDate = regexp.MustCompile(`\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d`)
	// logDuration is a number with a unit or a fraction.
	logDuration = regexp.MustCompile(`^(\d+(\.\d+)?(e-?\d+)?(ns|us|µs|ms|s)|\d+\.\d+(e-?\d+)?)$`)
	httpVersion = regexp.MustCompile(`HTTP/\d(\.\d)?`)
)

// accessLine finds the one line of a request and wants date, method, path,
// status, duration and bytes in it, in any order and form.
func accessLine(lines []string, path, method, status, size string) (string, error) {
	var found []string
	for _, line := range lines {
		if words := logWords(line); slices.Contains(words, path) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("want one line on stdout for %s %s, got %d", method, path, len(found))
	}
	words := logWords(found[0])
	var missing []string
	if !logDate.MatchString(found[0]) {
		missing = append(missing, "the date")
	}
	for _, want := range []string{method, status, size} {
		if want != "" && !slices.Contains(words, want) {
			missing = append(missing, want)
		}
	}
	if !slices.ContainsFunc(words, logDuration.MatchString) {
		missing = append(missing, "the duration")
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("want date, method, path, status, duration and bytes in the line of a request, got %s without %s", quote(strings.TrimSpace(found[0])), strings.Join(missing, ", "))
	}
	return found[0], nil
}

// logWords are the words of a line without its date: what is between
// spaces and the punctuation of JSON and of the common log formats.
func logWords(line string) []string {
	line = httpVersion.ReplaceAllString(logDate.ReplaceAllString(line, ""), "")
	return strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'{}[](),;:=", r) })
}

func checkOutput(ctx context.Context, t *trial) (string, error) {
	text := "contract output " + rand.Text() + " grüße"
	if _, err := t.server.expect(ctx, do("print", map[string]any{"text": text}), http.StatusOK, "printed"); err != nil {
		return "", err
	}
	return "", t.server.awaitLog(ctx, func(output containers.Output) error {
		for line := range strings.Lines(output.Stdout) {
			if strings.TrimRight(line, "\r\n") == text {
				return nil
			}
		}
		return fmt.Errorf("want %q as a line on stdout", text)
	})
}
