package lockfile

import (
	"regexp"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"version: 1\nimages:\n  docker.io/library/a:1: " + digestA + "\n",
		"version: 1\nimages: {'[::1]:5000/a:1': " + digestA + ", localhost:1/b:latest: " + digestB + "}\n",
		"version: 1\nonbuild:\n  " + digestA + ": [COPY . /app]\n",
		"version: 1\nconfigs:\n  " + digestA + ": {linux/amd64: {env: [A=b, \"\\x00\"], created: 2026-01-02T03:04:05Z}}\n",
		"version: 1\n---\n", "a: &x [*x]\n", "version: 1\nimages: *x\n", "<<<<<<< \n{",
	} {
		f.Add([]byte(seed))
	}
	located := regexp.MustCompile(`^lock:[1-9][0-9]*: .`)
	f.Fuzz(func(t *testing.T, source []byte) {
		parsed, err := parse("lock", source)
		if err != nil {
			if !located.MatchString(err.Error()) {
				t.Errorf("no position: %v", err)
			}
			return
		}
		for key := range parsed.images {
			if ref, err := reference.Parse(key); err != nil || Key(ref) != key {
				t.Errorf("entry %q: %v", key, err)
			}
		}
		written, err := format(parsed)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse("lock", written)
		if err != nil || !again.equal(parsed) {
			t.Errorf("%v is written as\n%s and read as %v, %v", parsed, written, again, err)
		}
	})
}
