//go:build e2e

package runtime

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNew adds runtimes and versions as their authors do: copies of every runtime here
// are sound, one of Python and a blank one are built and keep the contract at once.
func TestNew(t *testing.T) {
	rtbuild := newTree(t)
	_, tree := ownTree(t)
	for _, r := range tree.Runtimes {
		rtbuild("new", "like-"+r.ID, "--from", r.ID)
	}
	rtbuild("new", "perl", "--from", "python", "--version", "5.40")
	rtbuild("new", "shout", "--suite", "stable")
	rtbuild("new", "version", "perl", "5.42", "--eol", "2028-06-30")
	if findings := rtbuild("check"); strings.Contains(findings, " error: ") {
		t.Fatalf("what was added is wrong:\n%s", findings)
	}
	images := []string{"kubeless/perl:5.40", "kubeless/perl-init:5.40", "kubeless/perl:5.42", "kubeless/perl-init:5.42", "kubeless/shout:1"}
	t.Cleanup(func() { _ = exec.Command("docker", append([]string{"rmi", "--force"}, images...)...).Run() })
	rtbuild("build", "perl", "shout")
	for _, image := range images {
		dockerCommand(t, "image", "inspect", image)
	}
	rtbuild("verify", "perl:5.42", "shout")

	source := filepath.Join(t.TempDir(), "loud.sh")
	if err := os.WriteFile(source, []byte("loud() {\n\ttr a-z A-Z\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := []string{"new-shouts", "--namespace", "test-new"}
	t.Cleanup(func() { rtbuild(append([]string{"function", "delete"}, name...)...) })
	rtbuild(append([]string{"function", "deploy", "--runtime", "shout1", "--handler", "loud.loud", "--from-file", source}, name...)...)
	if answer := rtbuild(append([]string{"function", "call", "--data", "hello"}, name...)...); strings.TrimSpace(answer) != "HELLO" {
		t.Errorf("the function answers %q", answer)
	}
}

// newTree is a copy of this repository, with base images, and runs rtbuild in it. It
// returns what that prints, and fails the test where it fails.
func newTree(t *testing.T) (rtbuild func(args ...string) string) {
	t.Helper()
	root := t.TempDir()
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
		cmd := exec.Command(os.Getenv(program), args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "RTBUILD_MIRROR=docker.io=local/mirror", "RTBUILD_LOCK_FILE=.rtbuild/rtbuild.lock", "RTBUILD_BUILDER=docker://")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("rtbuild %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
		}
		return string(out)
	}
}
