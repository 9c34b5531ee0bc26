//go:build e2e

package runtime

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// TestNew adds runtimes and versions as their authors do: copies of every runtime here
// are sound, one of Python and a blank one are built and keep the contract at once.
func TestNew(t *testing.T) {
	rtbuild, _ := newTree(t)
	_, tree := ownTree(t)
	for _, r := range tree.Runtimes {
		rtbuild("new", "like-"+r.ID, "--from", r.ID)
	}
	rtbuild("new", "perl", "--from", "python")
	rtbuild("new", "shout", "--suite", "stable")
	rtbuild("new", "version", "perl", "3.13", "--eol", "2028-06-30", "--set", "suite=trixie")
	if findings := rtbuild("check"); strings.Contains(findings, " error: ") {
		t.Fatalf("what was added is wrong:\n%s", findings)
	}
	images := []string{"kubeless/perl:3.14", "kubeless/perl-init:3.14", "kubeless/perl:3.13", "kubeless/perl-init:3.13", "kubeless/shout:1"}
	t.Cleanup(func() { _ = exec.Command("docker", append([]string{"rmi", "--force"}, images...)...).Run() })
	rtbuild("build", "perl", "shout")
	for _, image := range images {
		dockerCommand(t, "image", "inspect", image)
	}
	rtbuild("verify", "perl:3.13", "shout")

	if answer := answerOf(t, rtbuild, "shout1", "loud.sh", "loud() {\n\ttr a-z A-Z\n}\n"); answer != "HELLO" {
		t.Errorf("the function in shell answers %q", answer)
	}
}

// TestNewOfAnotherSuite wants a version that a suite of Debian does not have to be
// refused by its build, and not to be another one under its name.
func TestNewOfAnotherSuite(t *testing.T) {
	rtbuild, root := newTree(t)
	rtbuild("new", "version", "nodejs", "18")
	rtbuild("new", "version", "python", "3.12")
	r := harness.Finish(t, inTree(root, "build", "nodejs:18", "python:3.12"))
	for _, message := range []string{
		`nodejs:18 \(stable/nodejs/Dockerfile\).*\n(    .*\n)* +this Debian has Node.js v\d.*, and not 18: another suite may have it`,
		`python:3.12 \(stable/python/Dockerfile\).*\n(    .*\n)* +this Debian has Python 3.*, and not 3.12: another suite may have it`,
	} {
		if !regexp.MustCompile(message).MatchString(r.Stderr) || r.Code != 1 {
			t.Errorf("exit code %d, stderr lacks %s:\n%s", r.Code, message, harness.Tail(r.Stderr))
		}
	}
}

// TestNewLanguage makes a runtime of another language of a blank one, by what the
// how-to says.
func TestNewLanguage(t *testing.T) {
	rtbuild, root := newTree(t)
	rtbuild("new", "camel")
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", "kubeless/camel:1").Run() })
	folder := filepath.Join(root, "incubator/camel")
	page := harness.Read(t, "../../docs/how-to/add-a-runtime.md")
	block := regexp.MustCompile("(?ms)For Perl:\n\n   ```sh\n(.*?)^   ```").FindStringSubmatch(page)
	if block == nil {
		t.Fatal("the how-to has no lines for Perl")
	}
	worker, lines := harness.Read(t, filepath.Join(folder, "worker.sh")), strings.ReplaceAll(block[1], "\n   ", "\n")
	replaced := 0
	for _, part := range []string{`(?m)^ *file=.*$`, `(?ms)^load\(\) \{.*?^\}`, `(?ms)^call\(\) \{.*?^\}`} {
		pattern := regexp.MustCompile(part)
		if text := pattern.FindString(lines); text != "" && pattern.MatchString(worker) {
			worker = pattern.ReplaceAllLiteralString(worker, strings.TrimSpace(text))
			replaced++
		}
	}
	if replaced != 3 {
		t.Fatalf("%d parts of the worker are replaced:\n%s", replaced, worker)
	}
	harness.Write(t, filepath.Join(folder, "worker.sh"), worker)
	manifest := filepath.Join(folder, "camel.jsonnet")
	harness.Write(t, manifest, strings.ReplaceAll(harness.Read(t, manifest), "fileNameSuffix: '.sh'", "fileNameSuffix: '.pl'"))
	rtbuild("build", "camel")
	if answer := answerOf(t, rtbuild, "camel1", "loud.pl", "sub loud {\n    print uc while <STDIN>;\n}\n1;\n"); answer != "HELLO" {
		t.Errorf("the function in Perl answers %q", answer)
	}
}

// answerOf is what the function loud of a runtime answers to "hello".
func answerOf(t *testing.T, rtbuild func(args ...string) string, runtime, file, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	harness.Write(t, path, source)
	name := []string{"loud-" + runtime, "--namespace", "test-new"}
	t.Cleanup(func() { rtbuild(append([]string{"function", "delete"}, name...)...) })
	rtbuild(append([]string{"function", "deploy", "--runtime", runtime, "--handler", "loud.loud", "--from-file", path}, name...)...)
	return strings.TrimSpace(rtbuild(append([]string{"function", "call", "--data", "hello"}, name...)...))
}

// newTree is a copy of this repository, at root, with base images. rtbuild runs a
// command there, returns what that prints, and fails the test where it fails.
func newTree(t *testing.T) (rtbuild func(args ...string) string, root string) {
	t.Helper()
	root = t.TempDir()
	files, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	pack := exec.Command("tar", "--directory", "../..", "--create", "--null", "--files-from", "-", "--ignore-failed-read")
	pack.Stdin = bytes.NewReader(files)
	archive, err := pack.Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command("tar", "--extract", "--directory", root)
	unpack.Stdin = bytes.NewReader(archive)
	bases := exec.Command("../../hack/base-images.sh", "--registry", "local/mirror", "--root", filepath.Join(root, ".rtbuild/registry"))
	for _, cmd := range []*exec.Cmd{unpack, bases} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return func(args ...string) string {
		t.Helper()
		r := harness.Finish(t, inTree(root, args...))
		if r.Code != 0 {
			t.Fatalf("rtbuild %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
		}
		return r.Stdout
	}, root
}

// inTree is a command in a tree that newTree has made.
func inTree(root string, args ...string) *exec.Cmd {
	cmd := harness.Command(root, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "RTBUILD_MIRROR=docker.io=local/mirror", "RTBUILD_LOCK_FILE=.rtbuild/rtbuild.lock", "RTBUILD_BUILDER=docker://")
	return cmd
}
