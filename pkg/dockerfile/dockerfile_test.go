package dockerfile_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/dockerfile"
)

// bases are images by reference; others say nothing.
type bases map[string]baseimage.Config

func (b bases) answer(_ context.Context, image, _ string) (baseimage.Config, bool, error) {
	return b[image], true, nil
}

func convert(t *testing.T, source string, opts dockerfile.Options) *dockerfile.Conversion {
	t.Helper()
	opts.Name = "Dockerfile"
	if opts.Platform == "" {
		opts.Platform = "linux/amd64"
	}
	if opts.Images == nil {
		opts.Images = bases{}.answer
	}
	converted, err := dockerfile.Convert(t.Context(), []byte(source), opts)
	if err != nil {
		t.Fatal(err)
	}
	return converted
}

func images(c *dockerfile.Conversion) (list []string) {
	for _, use := range c.Images {
		list = append(list, use.Image)
	}
	return list
}

func TestImages(t *testing.T) {
	args := func(key, value string) dockerfile.Options {
		return dockerfile.Options{Args: map[string]string{key: value}}
	}
	none := dockerfile.Options{}
	tests := []struct {
		name   string
		source string
		opts   dockerfile.Options
		want   []string
	}{
		{"one base", "FROM debian:bookworm-slim\n", none, []string{"debian:bookworm-slim"}},
		{"scratch is not an image", "FROM scratch\nCOPY a /\n", none, nil},
		{"without a tag", "FROM docker.io/library/debian\n", none, []string{"debian"}},
		{"argument with default", "ARG SUITE=trixie\nFROM debian:${SUITE}-slim\n", none, []string{"debian:trixie-slim"}},
		{"argument overridden", "ARG SUITE=trixie\nFROM debian:$SUITE\n", args("SUITE", "sid"), []string{"debian:sid"}},
		{"argument made of another", "ARG V=3\nARG BASE=python:$V\nFROM ${BASE}\n", none, []string{"python:3"}},
		{"argument with fallback in place", "ARG TAG\nFROM debian:${TAG:-sid}\n", none, []string{"debian:sid"}},
		{"stage names", "FROM golang:1 AS build\nFROM build AS test\nFROM debian\nCOPY --from=build /a /\nCOPY --from=TEST /a /\n", none, []string{"golang:1", "debian"}},
		{"copy from an image", "FROM debian:1\nCOPY --from=kubeless/proxy /proxy /proxy\n", none, []string{"debian:1", "kubeless/proxy"}},
		{"copy from a stage's number", "FROM golang:1 AS a\nFROM debian:1\nCOPY --from=0 /a /\n", none, []string{"golang:1", "debian:1"}},
		{"mount from an image", "FROM debian:1\nRUN --mount=type=bind,from=kubeless/x:1,target=/x true\n", none, []string{"kubeless/x:1", "debian:1"}},
		{"stages that are not needed", "FROM a:1 AS x\nFROM b:1 AS y\nFROM c:1\nCOPY --from=x /a /\n", none, []string{"a:1", "c:1"}},
		{"wanted stage", "FROM a:1 AS x\nFROM b:1 AS y\nFROM c:1\n", dockerfile.Options{Stage: "y"}, []string{"b:1"}},
		{"platform flag", "FROM --platform=$BUILDPLATFORM golang:1.24\n", none, []string{"golang:1.24"}},
		{"continued line", "FROM \\\n  debian:sid \\\n  AS x\n", none, []string{"debian:sid"}},
		{"stage by platform", "FROM scratch AS bin-amd64\nFROM debian:1 AS bin-arm64\nFROM bin-${TARGETARCH}\n", none, nil},
		{"stage by another platform", "FROM scratch AS bin-amd64\nFROM debian:1 AS bin-arm64\nFROM bin-${TARGETARCH}\n", dockerfile.Options{Platform: "linux/arm64"}, []string{"debian:1"}},
		{"image by platform", "FROM debian-${TARGETARCH}:1\n", dockerfile.Options{Platform: "linux/arm/v7"}, []string{"debian-arm:1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := images(convert(t, test.source, test.opts)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("images %q, want %q", got, test.want)
			}
		})
	}
	uses := convert(t, "ARG A=1\n\nFROM x:1 AS a\nFROM \\\n y:$A\nCOPY --from=a / /\nCOPY --from=z / /\n", none).Images
	want := []dockerfile.Use{{Image: "x:1", Full: "docker.io/library/x:1", Line: 3}, {Image: "y:1", Full: "docker.io/library/y:1", Line: 4}, {Image: "z", Full: "docker.io/library/z:latest", Line: 7}}
	if !reflect.DeepEqual(uses, want) {
		t.Errorf("uses %+v, want %+v", uses, want)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name   string
		source string
		opts   dockerfile.Options
		want   string
	}{
		{"empty", "", dockerfile.Options{}, "Dockerfile:1: "},
		{"unknown instruction", "FROM a\nFORM b\n", dockerfile.Options{}, "Dockerfile:2: unknown instruction: FORM"},
		{"no base", "RUN true\n", dockerfile.Options{}, "Dockerfile:1: no build stage"},
		{"argument without value", "ARG V\nFROM ${V}\n", dockerfile.Options{}, "Dockerfile:2: FROM ${V} names no image: declare"},
		{"no such stage", "FROM a AS b\n", dockerfile.Options{Stage: "c"}, `target stage "c" could not be found`},
		{"what is not a reference", "FROM scratch\nFROM Debian:1\n", dockerfile.Options{}, "Dockerfile:2: "},
		{"what is no port", "FROM a\nEXPOSE x\n", dockerfile.Options{}, "Dockerfile:2: "},
		{"an image that cannot be had", "FROM a\nFROM broken:1\n", dockerfile.Options{}, "Dockerfile:2: finding the base image broken:1: out of order"},
		{"a platform", "FROM a\n", dockerfile.Options{Platform: "linux/"}, `platform "linux/"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Name, test.opts.Images = "Dockerfile", func(_ context.Context, image, _ string) (baseimage.Config, bool, error) {
				if image == "broken:1" {
					return baseimage.Config{}, false, errors.New("out of order")
				}
				return baseimage.Config{}, true, nil
			}
			if test.opts.Platform == "" {
				test.opts.Platform = "linux/amd64"
			}
			_, err := dockerfile.Convert(t.Context(), []byte(test.source), test.opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// Where nobody can tell of a base, the images are known all the same, and what
// may follow from the base's environment is no fault of the Dockerfile. What
// cannot be is.
func TestUnknownImages(t *testing.T) {
	opts := dockerfile.Options{Name: "Dockerfile", Platform: "linux/amd64", Images: func(context.Context, string, string) (baseimage.Config, bool, error) {
		return baseimage.Config{}, false, nil
	}}
	for _, source := range []string{"FROM a:1\nCOPY --from=b:1 x $DIR/\n", "FROM a:1 AS x\nEXPOSE $PORT\nFROM b:1\nCOPY --from=x / /\n"} {
		got, err := dockerfile.Convert(t.Context(), []byte(source), opts)
		if err != nil || got.Known || got.Instructions != "" || len(got.Images) != 2 {
			t.Errorf("%q: %+v, %v", source, got, err)
		}
	}
	if _, err := dockerfile.Convert(t.Context(), []byte("FROM a:1\nCOPY --from=B:1 x /\n"), opts); err == nil {
		t.Error("no error for what is not a reference")
	}
}

func TestReads(t *testing.T) {
	all := []string{"."}
	base := bases{
		"env:1":    {Env: []string{"DIR=from/base"}},
		"copies:1": {OnBuild: []string{"COPY --chown=1 a b /", "ADD https://example.com/x /"}},
		"mounts:1": {OnBuild: []string{"RUN --mount=type=bind,source=m,target=/m true"}},
		"stages:1": {OnBuild: []string{"COPY --from=build /x /"}},
		"images:1": {OnBuild: []string{"COPY --from=debian:1 /x /"}},
		"here:1":   {OnBuild: []string{"COPY <<EOF /x\ntext\nEOF"}},
	}.answer
	tests := []struct {
		name, source string
		opts         dockerfile.Options
		reads, needs []string
		images       []string
	}{
		{name: "nothing", source: "FROM scratch\n"},
		{name: "sources", source: "FROM scratch\nCOPY server.py lib/ /srv/\nADD ./x.tar /\n", reads: []string{"lib", "server.py", "x.tar"}, needs: []string{"/server.py", "/lib", "/x.tar"}},
		{name: "the whole context", source: "FROM scratch\nCOPY . /srv/\n", reads: all},
		{name: "the whole context, less something", source: "FROM scratch\nCOPY --exclude=*.md . /srv/\n", reads: all},
		{name: "wildcards", source: "FROM scratch\nCOPY *.py src/*/go.mod /srv/\n", reads: []string{"*.py", "src/*/go.mod"}},
		{name: "parents", source: "FROM scratch\nCOPY --parents src/**/*.txt one/two.txt /\n", reads: []string{"one/two.txt", "src/**/*.txt"}, needs: []string{"/one/two.txt"}},
		{name: "other images and addresses", source: "FROM a:1 AS b\nFROM c:1\nCOPY --from=b /x /\nADD https://example.com/x /\n", images: []string{"a:1", "c:1"}},
		{name: "a repository", source: "FROM scratch\nADD git@example.com:a/b.git /\nCOPY a /\n", reads: []string{"a", "git@example.com:a/b.git"}, needs: []string{"/a"}},
		{name: "stages that are not needed", source: "FROM scratch AS x\nCOPY x /\nFROM scratch\nCOPY y /\n", reads: []string{"y"}, needs: []string{"/y"}},
		{name: "wanted stage", source: "FROM scratch AS x\nCOPY x /\nFROM scratch\nCOPY y /\n", opts: dockerfile.Options{Stage: "x"}, reads: []string{"x"}, needs: []string{"/x"}},
		{name: "argument", source: "FROM scratch\nARG F=f\nCOPY $F /\n", reads: []string{"f"}, needs: []string{"/f"}},
		{name: "platform", source: "FROM scratch\nARG TARGETARCH\nCOPY bin/$TARGETARCH /\n", opts: dockerfile.Options{Platform: "linux/arm64"}, reads: []string{"bin/arm64"}, needs: []string{"/bin/arm64"}},
		{name: "the base's environment", source: "FROM env:1\nCOPY $DIR /\n", reads: []string{"from/base"}, needs: []string{"/from/base"}, images: []string{"env:1"}},
		{name: "heredoc", source: "FROM scratch\nCOPY <<EOF /x\ntext\nEOF\n"},
		{name: "bind mounts", source: "FROM scratch\nRUN --mount=type=bind,source=src,target=/s true\n", reads: []string{"src"}, needs: []string{"/src"}},
		{name: "bind mount of all", source: "FROM scratch\nRUN --mount=target=/all true\n", reads: all},
		{name: "cache, secret and image mounts", source: "FROM scratch\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=ssh --mount=from=b:1,target=/b true\n", images: []string{"b:1"}},
		{name: "out of the context", source: "FROM scratch\nCOPY ../x /\n", reads: []string{"x"}, needs: []string{"/x"}},
		{name: "ONBUILD of a base", source: "FROM copies:1\nCOPY c /\n", reads: []string{"a", "b", "c"}, needs: []string{"/a", "/b", "/c"}, images: []string{"copies:1"}},
		{name: "ONBUILD mounts", source: "FROM mounts:1\n", reads: []string{"m"}, needs: []string{"/m"}, images: []string{"mounts:1"}},
		{name: "ONBUILD by COPY --from", source: "FROM scratch\nCOPY --from=copies:1 /x /\n", images: []string{"copies:1"}},
		{name: "ONBUILD in a stage on the stage", source: "FROM mounts:1 AS m\nFROM m\nCOPY c /\n", reads: []string{"c", "m"}, needs: []string{"/m", "/c"}, images: []string{"mounts:1"}},
		{name: "ONBUILD of a stage", source: "FROM scratch AS s\nONBUILD COPY c /\nFROM s AS t\nFROM t\n", reads: []string{"c"}, needs: []string{"/c"}},
		{name: "ONBUILD needs a stage", source: "FROM debian:1 AS build\nCOPY c /\nFROM stages:1\n", reads: []string{"c"}, needs: []string{"/c"}, images: []string{"debian:1", "stages:1"}},
		{name: "ONBUILD needs an image", source: "FROM images:1\n", images: []string{"debian:1", "images:1"}},
		{name: "ONBUILD heredoc", source: "FROM here:1\n", images: []string{"here:1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Images = base
			got := convert(t, test.source, test.opts)
			if !reflect.DeepEqual(got.Reads, test.reads) || !reflect.DeepEqual(got.Needs, test.needs) || !reflect.DeepEqual(images(got), test.images) {
				t.Errorf("reads %q, needs %q, images %q", got.Reads, got.Needs, images(got))
			}
		})
	}
}

// What is done is the same, however it is written, and another as soon as
// anything is done otherwise.
func TestInstructions(t *testing.T) {
	const plain = "FROM debian:1\nARG A=1\nENV B=2\nCOPY src /srv\nRUN make A=$A\nCMD [\"x\"]\n"
	hash := func(source string, opts dockerfile.Options) string {
		t.Helper()
		return convert(t, source, opts).Instructions
	}
	want := hash(plain, dockerfile.Options{})
	if again := hash(plain, dockerfile.Options{}); again != want {
		t.Error("two conversions of one Dockerfile differ")
	}
	for _, source := range []string{
		"# comment\n" + plain, strings.ReplaceAll(plain, "\n", "\r\n"), strings.Replace(plain, "COPY src", "COPY   \\\n  src", 1),
		"FROM scratch AS unused\nRUN other\n" + plain, strings.Replace(plain, "FROM debian:1", "from docker.io/library/debian:1", 1),
	} {
		if hash(source, dockerfile.Options{}) != want {
			t.Errorf("%q does something else", source)
		}
	}
	seen := map[string]string{want: plain}
	other := func(what, hash string) {
		t.Helper()
		if same, ok := seen[hash]; ok {
			t.Errorf("%s does the same as %s", what, same)
		}
		seen[hash] = what
	}
	for _, change := range [][2]string{
		{"debian:1", "debian:2"}, {"A=1", "A=2"}, {"B=2", "B=3"}, {"src", "src2"}, {"/srv", "/srv2"}, {"make", "make all"}, {"\"x\"", "\"y\""},
		{"COPY src", "COPY --chmod=600 src"}, {"COPY src", "COPY --link src"}, {"RUN make", "RUN --network=none make"}, {"RUN make", "RUN --mount=type=cache,target=/c make"},
		{"RUN make", "RUN --mount=type=secret,id=s make"}, {"CMD", "ENTRYPOINT"}, {"CMD", "LABEL a=b\nCMD"}, {"CMD", "USER 1\nCMD"}, {"CMD", "ONBUILD RUN x\nCMD"},
		{"COPY src /srv", "COPY <<EOF /srv\na\nEOF"}, {"COPY src /srv", "COPY <<EOF /srv\nb\nEOF"},
	} {
		other(change[1], hash(strings.Replace(plain, change[0], change[1], 1), dockerfile.Options{}))
	}
	other("a build argument", hash(plain, dockerfile.Options{Args: map[string]string{"A": "3"}}))
	other("a platform", hash(plain, dockerfile.Options{Platform: "linux/arm64"}))
	other("a base's environment", hash(plain, dockerfile.Options{Images: bases{"debian:1": {Env: []string{"X=1"}}}.answer}))
	other("a base's user", hash(plain, dockerfile.Options{Images: bases{"debian:1": {User: "1"}}.answer}))
	other("a base's shell", hash(plain, dockerfile.Options{Images: bases{"debian:1": {Shell: []string{"bash"}}}.answer}))
	const cross = "FROM --platform=$BUILDPLATFORM debian:1\n"
	other("a build platform", hash(cross, dockerfile.Options{BuildPlatform: "linux/arm64"}))
	other("another build platform", hash(cross, dockerfile.Options{BuildPlatform: "linux/s390x"}))
	if a, b := hash(plain, dockerfile.Options{BuildPlatform: "linux/arm64"}), hash(plain, dockerfile.Options{Args: map[string]string{"UNUSED": "1"}}); a != want || b != want {
		t.Error("what is not used shows")
	}
}

// What an image says to builds on it comes from its base and its own
// instructions.
func TestConfig(t *testing.T) {
	created := time.Unix(1_700_000_000, 0).UTC()
	base := bases{"base:1": {Created: created, Env: []string{"A=1", "PATH=/bin"}, WorkingDir: "/w", User: "u", OnBuild: []string{"RUN x"}}}.answer
	got := convert(t, "FROM base:1 AS b\nENV B=2\nFROM b\nUSER v\nSHELL [\"bash\", \"-c\"]\nONBUILD COPY y /\n", dockerfile.Options{Images: base})
	want := baseimage.Config{Env: []string{"A=1", "PATH=/bin", "B=2"}, WorkingDir: "/w", User: "v", Shell: []string{"bash", "-c"}, OnBuild: []string{"COPY y /"}}
	if !got.Config.Equal(want) || got.Base == nil || !got.Base.Created.Equal(created) || got.Epoch != nil {
		t.Errorf("%+v on %+v", got.Config, got.Base)
	}
	got = convert(t, "ARG SOURCE_DATE_EPOCH=1000\nFROM scratch\nCOPY --from=base:1 / /\n", dockerfile.Options{Images: base})
	if got.Base != nil || got.Epoch == nil || got.Epoch.Unix() != 1000 {
		t.Errorf("base %+v, epoch %v", got.Base, got.Epoch)
	}
}

func TestFrontend(t *testing.T) {
	for source, want := range map[string]string{
		"FROM a\n":                                   "",
		"# syntax=docker/dockerfile:1\nFROM a\n":     "docker/dockerfile:1",
		"# check=skip=all\n# syntax = x/y\nFROM a\n": "x/y",
		"FROM a\n# syntax=docker/dockerfile:1\n":     "",
	} {
		if got := dockerfile.Frontend([]byte(source), nil); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
	if got := dockerfile.Frontend([]byte("# syntax=a\nFROM a\n"), map[string]string{"BUILDKIT_SYNTAX": "b c"}); got != "b" {
		t.Errorf("by an argument: %q", got)
	}
}
