package socket

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFolder(t *testing.T) {
	missing, there := filepath.Join(t.TempDir(), "missing"), t.TempDir()
	if got, err := Folder([]string{missing, there}); got != there || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Folder([]string{missing, missing + "2"}); err == nil || !strings.Contains(err.Error(), missing+"2") ||
		!strings.Contains(err.Error(), "emptyDir") {
		t.Errorf("error %v", err)
	}
}
