package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRewriteTimestamp(t *testing.T) {
	for text, keeps := range map[string]bool{"": false, "rewriteTimestamp: true\n": false, "rewriteTimestamp: false\n": true} {
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "rtbuild.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(root)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := c.KeepsTimes(); got != keeps {
			t.Errorf("%q: files keep the build's times: %v, want %v", text, got, keeps)
		}
	}
}
