package differential

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A testCase is what one image is built from. Each file of the context holds a
// token by which it is found in the image.
type testCase struct {
	name string
	// files are all files: the context, the Dockerfile and what lies beside it.
	files tree
	// context and dockerfile are paths in files; the context may be a link.
	context, dockerfile string
	// root is the folder that the context is, links resolved.
	root  string
	args  map[string]string
	stage string
	// instructions are those of the Dockerfile.
	instructions []string
	// partial: not all that is read gets into the image.
	partial bool
}

var tokenPattern = regexp.MustCompile(`token:[a-z0-9]+;`)

// tokens are those in a content, each once.
func tokens(content string) []string {
	found := tokenPattern.FindAllString(content, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// A generator makes one case.
type generator struct {
	*rand.Rand
	c *testCase
	// platforms: the image is for several, so no RUN can be built.
	platforms bool
	tokens    int
	copies    int
}

// number is an environment variable's, or a default.
func number(tb testing.TB, name string, otherwise uint64) uint64 {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}

// newGenerator makes the case of a seed and a number.
func newGenerator(seed uint64, number int, platforms bool) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(number))), platforms: platforms}
	g.c = &testCase{name: strconv.Itoa(number), files: tree{}, args: map[string]string{}}
	g.layout()
	g.contents()
	g.dockerfile()
	g.ignore()
	return g
}

// oneIn is true once in n times.
func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

func (g *generator) token() string {
	g.tokens++
	return fmt.Sprintf("token:%s;\n", fmt.Sprintf("f%d", g.tokens))
}

// layout chooses where the Dockerfile lies: in its context, beside it, or below
// it; and whether the context is a link.
func (g *generator) layout() {
	name := pick(g, "Dockerfile", "Dockerfile.1.0", "Dockerfile.x")
	switch g.IntN(5) {
	case 0, 1:
		g.c.root, g.c.context, g.c.dockerfile = ".", ".", name
	case 2:
		g.c.root, g.c.context, g.c.dockerfile = "ctx", "ctx", name
	case 3:
		g.c.root, g.c.context, g.c.dockerfile = ".", ".", "docker/"+name
	case 4:
		g.c.root, g.c.context, g.c.dockerfile = "real", "ctx", pick(g, name, "docker/"+name)
		g.c.files["ctx"] = entry{kind: link, content: "real"}
	}
}

// in is the path in the case's files of a path in the context.
func (g *generator) in(name string) string { return path.Join(g.c.root, name) }

func (g *generator) mode() fs.FileMode {
	return pick(g, fs.FileMode(0o644), 0o644, 0o644, 0o755, 0o600, 0o700, 0o444, fs.ModeSetuid|0o755)
}

// contents fills the context.
func (g *generator) contents() {
	dirs := []string{"src", "conf", "src/in", "src/in/deep"}
	for _, dir := range []string{"bin/amd64", "bin/arm64", "lib", "with blank", "src/[odd]"} {
		if g.oneIn(3) {
			dirs = append(dirs, dir)
		}
	}
	for _, name := range []string{"src/a.txt", "conf/main.conf", "a.txt", "bin/amd64/tool", "bin/arm64/tool"} {
		g.file(name)
	}
	names := []string{"b.txt", "c.md", "d.py", "x y.txt", "[z].txt", "-dash", "#hash", "$dollar", "ümlaut", ".hidden", `back\slash`, "!bang", "keep", "e.txt", "*star"}
	for range 4 + g.IntN(6) {
		g.file(path.Join(pick(g, append(dirs, ".")...), pick(g, names...)))
	}
	if g.oneIn(3) {
		g.c.files[g.in(pick(g, "empty", "src/empty", "conf/empty"))] = entry{kind: folder, mode: pick(g, fs.FileMode(0o755), 0o700)}
	}
	if g.oneIn(4) {
		g.c.files[g.in("src/in")] = entry{kind: folder, mode: 0o700}
	}
	g.links()
	if g.oneIn(4) {
		g.c.files[g.in("pack.tar")] = entry{kind: file, mode: 0o644, content: archive("packed/file", g.token())}
	}
	if g.oneIn(6) {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write([]byte(archive("zipped/file", g.token()))) // memory takes all
		_ = w.Close()
		g.c.files[g.in("pack.tgz")] = entry{kind: file, mode: 0o644, content: zipped.String()}
	}
}

func (g *generator) file(name string) {
	g.c.files[g.in(name)] = entry{kind: file, mode: g.mode(), content: g.token()}
}

// links adds symbolic links of every kind.
func (g *generator) links() {
	for _, l := range []struct{ name, target string }{
		{"l-file", "src/a.txt"}, {"src/l-up", "../a.txt"}, {"l-dir", "conf"}, {"src/l-dir", "in"}, {"l-chain", "l-file"},
		{"l-deep", "src/l-dir/deep"}, {"src/l-gone", "nowhere"}, {"l-abs", "/conf"}, {"l-out", "../../../etc/hostname"},
		{"l-outdir", "../conf"}, {"src/l-self", "l-self"}, {"conf/l-root", ".."}, {"l-here", "./src/../conf/main.conf"},
	} {
		if g.oneIn(5) {
			g.c.files[g.in(l.name)] = entry{kind: link, content: l.target}
		}
	}
}

// archive is a tar archive of one file.
func archive(name, content string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR})
	_, _ = w.Write([]byte(content)) // memory takes all
	_ = w.Close()
	return b.String()
}

// ignore writes an ignore file into the context or beside the Dockerfile.
func (g *generator) ignore() {
	if !g.oneIn(3) {
		return
	}
	var lines []string
	for range 1 + g.IntN(3) {
		lines = append(lines, pick(g, "*.md", "**/*.md", "**/c.md", "src/in", "lib", "conf/*", "**/.hidden", "# comment", "/keep", "src/in/", "./e.txt", "**/l-*",
			"docker", "**/Dockerfile*", "src/*.txt", "with blank", `src/\[odd\]`, "bin/arm64", "src/**/deep", "*\n!src\n!conf\n!bin\n!a.txt", "src/in\n!src/in/deep", "src\n!src/*.txt", "*/in\n!src/in/b.txt"))
	}
	for range g.IntN(2) {
		lines = append(lines, pick(g, "!src/in/deep", "!**/keep", "!src/a.txt", "!lib", "!src/in/*.txt"))
	}
	ignore := entry{kind: file, mode: 0o644, content: strings.Join(lines, "\n") + "\n"}
	if g.oneIn(2) {
		g.c.files[g.c.dockerfile+".dockerignore"] = ignore
		ignore.content = "src\n" // does not count then
	}
	if g.oneIn(2) || g.c.files[g.c.dockerfile+".dockerignore"].kind == "" {
		g.c.files[g.in(".dockerignore")] = ignore
	}
}
