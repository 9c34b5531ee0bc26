//go:build e2e

package runtime

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFunctionSources deploys one function, a symbolic link among its files, as a
// folder, a zip, each kind of tar, and from an address, and updates it with
// something else: it has the same files.
func TestFunctionSources(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("src/f.py", "from lib.word import word\ndef handler(event, context):\n    return word\n")
	p.write("src/lib/real.py", "word = 'linked'\n")
	folder := filepath.Join(p.folder, "src")
	if err := os.Symlink("real.py", filepath.Join(folder, "lib/word.py")); err != nil {
		t.Fatal(err)
	}
	archives := map[string]string{"f.tar": "-cf", "f.tar.gz": "-czf", "f.tar.bz2": "-cjf", "f.tar.xz": "-cJf"}
	for name, how := range archives {
		inFolder(t, folder, "tar", how, "../"+name, ".")
	}
	inFolder(t, folder, "python3", "-c", `import os, stat, zipfile
with zipfile.ZipFile("../f.zip", "w") as z:
    z.write("f.py")
    z.write("lib/real.py")
    link = zipfile.ZipInfo("lib/word.py")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    z.writestr(link, os.readlink("lib/word.py"))
`)
	server := httptest.NewServer(http.FileServer(http.Dir(p.folder)))
	defer server.Close()
	sum := strings.Fields(inFolder(t, p.folder, "sha256sum", "f.zip"))[0]

	p.deploy("f", folder)
	p.answers("f", "linked")
	for _, name := range []string{"f.tar", "f.tar.gz", "f.tar.bz2", "f.tar.xz", "f.zip"} {
		p.must("update", "f", "--from-file", filepath.Join(p.folder, name))
		p.must("update", "f", "--env", "FROM="+name)
		p.answers("f", "linked")
	}
	p.must("deploy", "f", "--runtime", "python3.13", "--handler", "f.handler", "--from-file", server.URL+"/f.zip", "--checksum", "sha256:"+sum)
	p.answers("f", "linked")
	p.fails(1, []string{fmt.Sprintf("its checksum is sha256:%s, not sha256:%s", sum, strings.Repeat("0", 64))},
		"update", "f", "--from-file", server.URL+"/f.zip", "--checksum", "sha256:"+strings.Repeat("0", 64))
	p.fails(1, []string{"404"}, "update", "f", "--from-file", server.URL+"/g.zip")
	p.answers("f", "linked")
}

func inFolder(t *testing.T, folder string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
