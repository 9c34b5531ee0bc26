package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
)

func TestOpenConfidencesErrors(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	dir := t.TempDir()
	missing, large := filepath.Join(dir, "missing"), filepath.Join(dir, "large")
	noKey := filepath.Join(dir, "no-key")
	for path, content := range map[string][]byte{large: bytes.Repeat([]byte("top-secret"), 60_000), noKey: []byte("top-secret")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		req  build.Request
		want []string
	}{
		{"missing", build.Request{Secrets: map[string]string{"npm": missing}}, []string{`secret "npm"`, missing, "no such file"}},
		{"relative", build.Request{Secrets: map[string]string{"npm": "x"}}, []string{`secret "npm"`, `"x"`, "not absolute"}},
		{"folder", build.Request{Secrets: map[string]string{"npm": dir}}, []string{`secret "npm"`, dir, "folder"}},
		{"too large", build.Request{Secrets: map[string]string{"npm": large}}, []string{`secret "npm"`, large, "600000"}},
		{"no agent", build.Request{SSH: map[string]string{"default": ""}}, []string{`ssh "default"`, "SSH_AUTH_SOCK"}},
		{"no socket", build.Request{SSH: map[string]string{"git": missing}}, []string{`ssh "git"`, missing}},
		{"no key", build.Request{SSH: map[string]string{"git": noKey}}, []string{`ssh "git"`, noKey}},
	}
	for _, test := range tests {
		_, err := openConfidences(test.req)
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", test.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "top-secret") {
			t.Errorf("%s: error %q holds the secret", test.name, err)
		}
	}
	if c, err := openConfidences(build.Request{}); err != nil || len(c.attachables) != 0 {
		t.Errorf("nothing asked for: %+v, %v", c, err)
	}
}
