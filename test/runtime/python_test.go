//go:build e2e

package runtime

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func TestPython(t *testing.T) {
	python, versions := versions(t, "python")
	if len(versions) == 0 {
		t.Fatal("python has no versions")
	}
	for _, v := range versions {
		t.Run(v.Version, func(t *testing.T) {
			t.Run("images", func(t *testing.T) { pythonImages(t, v) })
			t.Run("examples", func(t *testing.T) { pythonExamples(t, python, v) })
			t.Run("dependencies", func(t *testing.T) { pythonDependencies(t, python, v) })
			t.Run("server", func(t *testing.T) { pythonServer(t, python, v) })
			t.Run("does not load", func(t *testing.T) { pythonDoesNotLoad(t, python, v) })
		})
	}
}

func pythonImages(t *testing.T, v manifest.Version) {
	image := reference(phase(t, v, manifest.RuntimePhase))
	if got := strings.TrimSpace(docker(t, nil, "image", "inspect", "-f", "{{.Config.User}}", image)); got != "1000" {
		t.Errorf("the runtime image's user is %q, want 1000", got)
	}
	got := docker(t, nil, "run", "--rm", "--entrypoint", "sh", image, "-c",
		"ls -A /usr/local/lib/kubeless /kubeless /var/lib/apt/lists; command -v pip || echo no pip; python3 --version")
	want := "/kubeless:\n\n/usr/local/lib/kubeless:\nworker.py\n\n/var/lib/apt/lists:\nno pip\nPython " + v.Version + "."
	if !strings.HasPrefix(got, want) {
		t.Errorf("the runtime image holds\n%s\nwant\n%s", got, want)
	}
}

// The examples run in the tightest security context that a cluster may ask for.
func pythonExamples(t *testing.T, r manifest.Runtime, v manifest.Version) {
	restricted := []string{"--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	examples := filepath.Join("../..", r.Folder, "examples")
	cases := []struct {
		module, deps, body, want string
	}{
		{module: "helloget", want: "hello world"},
		{module: "hellowithdata", body: `{"it-s": "alive"}`, want: `{"it-s": "alive"}`},
		{module: "hellowithdeps", deps: "requirements.txt", want: "<h1>hello world</h1>"},
	}
	for _, c := range cases {
		t.Run(c.module, func(t *testing.T) {
			file := c.module + r.FileNameSuffix
			f := function{
				files:      map[string]string{file: read(t, filepath.Join(examples, file))},
				handler:    c.module + ".handler",
				dockerArgs: restricted,
			}
			if c.deps != "" {
				f.deps = read(t, filepath.Join(examples, c.deps))
			}
			url := ready(t, deploy(t, r, v, f))
			method, header := http.MethodGet, http.Header{}
			if c.body != "" {
				method, header = http.MethodPost, http.Header{"Content-Type": {"application/json"}}
			}
			if status, _, body := call(t, method, url, c.body, header); status != 200 || body != c.want {
				t.Errorf("answered %d %q, want 200 %q", status, body, c.want)
			}
		})
	}
}

// A source distribution is built, and what the init image has for itself is
// installed all the same, for the runtime image does not have it.
func pythonDependencies(t *testing.T, r manifest.Runtime, v manifest.Version) {
	url := ready(t, deploy(t, r, v, function{
		files:   map[string]string{"installed.py": read(t, "testdata/installed.py")},
		handler: "installed.handler",
		deps:    "docopt==0.6.2\nsetuptools\nwheel\n",
	}))
	status, _, body := call(t, http.MethodGet, url, "", nil)
	var files []string
	if err := json.Unmarshal([]byte(body), &files); err != nil || status != 200 || len(files) != 3 {
		t.Fatalf("answered %d %s", status, body)
	}
	for _, file := range files {
		if !strings.HasPrefix(file, volumePath+"/lib/") {
			t.Errorf("imported %s, which is not in the volume", file)
		}
	}
}

func pythonServer(t *testing.T, r manifest.Runtime, v manifest.Version) {
	container := deploy(t, r, v, function{
		files:   map[string]string{"checks.py": read(t, "testdata/checks.py")},
		handler: "checks.handler",
	})
	url := ready(t, container)
	asJSON := http.Header{"Content-Type": {"application/json"}}

	t.Run("event and context", func(t *testing.T) { pythonEvent(t, v, url) })
	t.Run("unicode", func(t *testing.T) {
		const text = `{"grüße": "世界 😀"}`
		if status, kind, body := call(t, http.MethodPost, url+"/echo", text, asJSON); status != 200 || body != text || kind != "application/json" {
			t.Errorf("answered %d %s %s", status, kind, body)
		}
	})
	t.Run("malformed JSON", func(t *testing.T) {
		if status, _, body := call(t, http.MethodPost, url+"/echo", `{"a":`, asJSON); status != 400 || !strings.Contains(body, "does not fit its content type") {
			t.Errorf("answered %d %s", status, body)
		}
	})
	t.Run("exception", func(t *testing.T) {
		if status, _, body := call(t, http.MethodGet, url+"/fail", "", nil); status != 500 || strings.Contains(body, "the cause") {
			t.Errorf("answered %d %s", status, body)
		}
		if logs := docker(t, nil, "logs", container); !strings.Contains(logs, "RuntimeError: the cause") {
			t.Errorf("the log lacks the traceback:\n%s", logs)
		}
	})
	t.Run("chunked", func(t *testing.T) {
		text := strings.Repeat("0123456789", 100_000)
		// A reader of unknown length makes the client send chunks.
		status, _, body := send(t, http.MethodPost, url+"/echo", io.MultiReader(strings.NewReader(text)), nil)
		if status != 200 || body != text {
			t.Errorf("answered %d and %d bytes, want %d bytes", status, len(body), len(text))
		}
	})
	t.Run("parallel", func(t *testing.T) {
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if status, _, body := call(t, http.MethodGet, url+"/together", "", nil); status != 200 {
					t.Errorf("answered %d %s", status, body)
				}
			})
		}
		calls.Wait()
	})
	t.Run("SIGTERM", func(t *testing.T) { pythonStops(t, container, url) })
	line := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z GET /fail 500 .*"exception .*RuntimeError`)
	if logs := docker(t, nil, "logs", container); !line.MatchString(logs) {
		t.Errorf("the log lacks a line for the request of /fail:\n%s", logs)
	}
}

func pythonEvent(t *testing.T, v manifest.Version, url string) {
	header := http.Header{}
	for _, name := range []string{"Event-Id", "Event-Type", "Event-Time", "Event-Namespace", "X-Test"} {
		header.Set(name, "the "+name)
	}
	_, _, body := call(t, http.MethodPatch, url+"/a%20b/describe?q=1", "text", header)
	var got, want any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	expected := `{
		"event": {"data": "text", "event-id": "the Event-Id", "event-type": "the Event-Type",
			"event-time": "the Event-Time", "event-namespace": "the Event-Namespace"},
		"context": {"function-name": "handler", "timeout": 180, "runtime": "pythonVERSION", "memory-limit": "0"},
		"request": ["PATCH", "/a b/describe", {"q": "1"}, "the X-Test"],
		"version": "VERSION"
	}`
	if err := json.Unmarshal([]byte(strings.ReplaceAll(expected, "VERSION", v.Version)), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the function saw %s", body)
	}
}

// pythonStops sends SIGTERM during a call: it is answered, then the server
// exits with 0.
func pythonStops(t *testing.T, container, url string) {
	answer := make(chan string)
	go func() {
		_, _, body := call(t, http.MethodGet, url+"/slow", "", nil)
		answer <- body
	}()
	awaitLog(t, container, "begun")
	docker(t, nil, "kill", "-s", "TERM", container)
	if got := <-answer; got != "finished" {
		t.Errorf("the call in flight was answered %q", got)
	}
	if code := strings.TrimSpace(docker(t, nil, "wait", container)); code != "0" {
		t.Errorf("the server exited with %s, want 0", code)
	}
}

// A function that does not load is not ready, and its health says why.
func pythonDoesNotLoad(t *testing.T, r manifest.Runtime, v manifest.Version) {
	const cause = "No module named 'no_such_module'"
	container := deploy(t, r, v, function{
		files:   map[string]string{"broken.py": "import no_such_module\n"},
		handler: "broken.handler",
	})
	awaitLog(t, container, "worker crashed")
	address := strings.Fields(docker(t, nil, "port", container, "8080/tcp"))[0]
	if status, _, body := call(t, http.MethodGet, "http://"+address+"/healthz", "", nil); status != 503 || !strings.Contains(body, cause) {
		t.Errorf("answered %d %s", status, body)
	}
	if logs := docker(t, nil, "logs", container); !strings.Contains(logs, cause) {
		t.Errorf("the log lacks the cause:\n%s", logs)
	}
}

// awaitLog waits until a container has printed the text.
func awaitLog(t *testing.T, container, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(docker(t, nil, "logs", container), text) {
		select {
		case <-ctx.Done():
			t.Fatalf("the container did not print %q", text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// call sends a request with a body of known length and returns the response's
// status, content type and body.
func call(t *testing.T, method, url, body string, header http.Header) (int, string, string) {
	t.Helper()
	return send(t, method, url, strings.NewReader(body), header)
}

func send(t *testing.T, method, url string, body io.Reader, header http.Header) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(content)
}
