package dockerfile_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/dockerfile"
)

func TestImages(t *testing.T) {
	args := func(key, value string) dockerfile.Options {
		return dockerfile.Options{Args: map[string]string{key: value}}
	}
	tests := []struct {
		name   string
		source string
		opts   dockerfile.Options
		want   []string
	}{
		{"one base", "FROM debian:bookworm-slim\n", dockerfile.Options{}, []string{"debian:bookworm-slim"}},
		{"scratch is no image", "FROM scratch\nCOPY a /\n", dockerfile.Options{}, nil},
		{"argument with default", "ARG SUITE=trixie\nFROM debian:${SUITE}-slim\n", dockerfile.Options{}, []string{"debian:trixie-slim"}},
		{"argument overridden", "ARG SUITE=trixie\nFROM debian:$SUITE\n", args("SUITE", "sid"), []string{"debian:sid"}},
		{"argument made of another", "ARG V=3\nARG BASE=python:$V\nFROM ${BASE}\n", dockerfile.Options{}, []string{"python:3"}},
		{"argument with fallback in place", "ARG TAG\nFROM debian:${TAG:-sid}\n", dockerfile.Options{}, []string{"debian:sid"}},
		{"stage names", "FROM golang:1 AS build\nFROM build AS test\nFROM debian\nCOPY --from=build /a /\nCOPY --from=TEST /a /\n", dockerfile.Options{}, []string{"golang:1", "debian"}},
		{"copy from an image", "FROM debian\nCOPY --from=kubeless/proxy /proxy /proxy\n", dockerfile.Options{}, []string{"debian", "kubeless/proxy"}},
		{"copy from a stage's number", "FROM golang AS a\nFROM debian\nCOPY --from=0 /a /\n", dockerfile.Options{}, []string{"golang", "debian"}},
		{"mount from an image", "FROM debian\nRUN --mount=type=bind,from=kubeless/x:1,target=/x true\n", dockerfile.Options{}, []string{"debian", "kubeless/x:1"}},
		{"stages that are not needed", "FROM a AS x\nFROM b AS y\nFROM c\nCOPY --from=x /a /\n", dockerfile.Options{}, []string{"a", "c"}},
		{"wanted stage", "FROM a AS x\nFROM b AS y\nFROM c\n", dockerfile.Options{Stage: "y"}, []string{"b"}},
		{"platform flag", "FROM --platform=$BUILDPLATFORM golang:1.24\n", dockerfile.Options{}, []string{"golang:1.24"}},
		{"continued line", "FROM \\\n  debian:sid \\\n  AS x\n", dockerfile.Options{}, []string{"debian:sid"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := dockerfile.Parse("Dockerfile", []byte(test.source), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, use := range file.Images {
				got = append(got, use.Image)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("images %q, want %q", got, test.want)
			}
		})
	}
}

func TestImagesErrors(t *testing.T) {
	tests := []struct {
		name   string
		source string
		opts   dockerfile.Options
		want   string
	}{
		{"empty", "", dockerfile.Options{}, "Dockerfile:1: "},
		{"unknown instruction", "FROM a\nFORM b\n", dockerfile.Options{}, "Dockerfile:2: unknown instruction: FORM"},
		{"no base", "RUN true\n", dockerfile.Options{}, "Dockerfile:1: no build stage"},
		{"argument without value", "ARG V\nFROM ${V}\n", dockerfile.Options{}, "Dockerfile:2: FROM ${V} names no image"},
		{"no such stage", "FROM a AS b\n", dockerfile.Options{Stage: "c"}, `no stage is named "c"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := dockerfile.Parse("Dockerfile", []byte(test.source), test.opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	replace := map[string]string{"debian:sid": "mirror/debian@x", "kubeless/p": "mirror/p@y", "kubeless/p:1": "mirror/p@z"}
	tests := []struct{ name, source, want string }{
		{"from", "FROM debian:sid AS a\n", "FROM mirror/debian@x AS a\n"},
		{"from by argument", "ARG T=sid\nFROM --platform=linux/amd64 debian:$T\n", "ARG T=sid\nFROM --platform=linux/amd64 mirror/debian@x\n"},
		{"only images", "FROM debian:sid AS debian\nFROM debian\n", "FROM mirror/debian@x AS debian\nFROM debian\n"},
		{"continued", "FROM \\\n# debian:sid\n  debian:sid\\\n  AS x\nRUN true\n", "FROM \\\n# debian:sid\n  mirror/debian@x\\\n  AS x\nRUN true\n"},
		{"copy", "FROM scratch\nCOPY --chown=1 --from=kubeless/p /p /p\n", "FROM scratch\nCOPY --chown=1 --from=mirror/p@y /p /p\n"},
		{"copy, continued", "FROM scratch\nCOPY --chown=1 \\\n  --from=kubeless/p \\\n /p /p\n", "FROM scratch\nCOPY --chown=1 \\\n  --from=mirror/p@y \\\n /p /p\n"},
		{"mount", "FROM debian:sid\nRUN --mount=type=bind,from=kubeless/p:1,target=/p --mount=from=kubeless/p,target=/q x\n", "FROM mirror/debian@x\nRUN --mount=type=bind,from=mirror/p@z,target=/p --mount=from=mirror/p@y,target=/q x\n"},
		{"CRLF", "FROM debian:sid\r\nRUN true\r\n", "FROM mirror/debian@x\r\nRUN true\r\n"},
		{"no newline at the end", "FROM debian:sid", "FROM mirror/debian@x"},
		{"other images stay", "FROM alpine\n", "FROM alpine\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := dockerfile.Parse("Dockerfile", []byte(test.source), dockerfile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := dockerfile.Rewrite([]byte(test.source), file.Images, func(use dockerfile.Use) string { return replace[use.Image] })
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReads(t *testing.T) {
	tests := []struct {
		name   string
		source string
		opts   dockerfile.Options
		want   []string
	}{
		{"nothing", "FROM scratch\n", dockerfile.Options{}, nil},
		{"sources", "FROM a\nCOPY server.py lib/ /srv/\nADD ./x.tar /\n", dockerfile.Options{}, []string{"server.py", "lib", "x.tar"}},
		{"the whole context", "FROM a\nCOPY . /srv/\n", dockerfile.Options{}, []string{dockerfile.Everything}},
		{"wildcards", "FROM a\nCOPY *.py src/*/go.mod /srv/\n", dockerfile.Options{}, []string{"*.py", "src/*/go.mod"}},
		{"other images and addresses", "FROM a AS b\nFROM c\nCOPY --from=b /x /\nADD https://example.com/x /\n", dockerfile.Options{}, nil},
		{"stages that are not needed", "FROM a AS x\nCOPY x /\nFROM b\nCOPY y /\n", dockerfile.Options{}, []string{"y"}},
		{"wanted stage", "FROM a AS x\nCOPY x /\nFROM b\nCOPY y /\n", dockerfile.Options{Stage: "x"}, []string{"x"}},
		{"variable", "FROM a\nARG F\nCOPY $F /\n", dockerfile.Options{}, []string{dockerfile.Everything}},
		{"heredoc", "FROM a\nCOPY <<EOF /x\ntext\nEOF\n", dockerfile.Options{}, nil},
		{"bind mounts", "FROM a\nRUN --mount=type=bind,source=src,target=/s true\nRUN --mount=target=/all true\n", dockerfile.Options{}, []string{"src", dockerfile.Everything}},
		{"cache mounts and images", "FROM a\nRUN --mount=type=cache,target=/c --mount=from=b,target=/b true\n", dockerfile.Options{}, nil},
		{"out of the context", "FROM a\nCOPY ../x /\n", dockerfile.Options{}, []string{"x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := dockerfile.Parse("Dockerfile", []byte(test.source), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(file.Reads, test.want) {
				t.Errorf("reads %q, want %q", file.Reads, test.want)
			}
		})
	}
}

func TestOnBuild(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	onBuild := map[string][]string{
		"copies": {"COPY --chown=1 a b /", "ADD https://example.com/x /"},
		"mounts": {"RUN --mount=type=bind,source=m,target=/m true"},
		"stages": {"COPY --from=build /x /"},
		"pinned": {"COPY --from=debian" + digest + " /x /"},
		"images": {"COPY --from=debian /x /"},
		"here":   {"COPY <<EOF /x\ntext\nEOF"},
		"broken": {"FORM x"},
	}
	tests := []struct {
		name, source  string
		images, reads []string
		carries       []string
		failure       string
	}{
		{name: "before its own", source: "FROM copies\nCOPY c /\n", images: []string{"copies"}, reads: []string{"a", "b", "c"}},
		{name: "mounts", source: "FROM mounts\n", images: []string{"mounts"}, reads: []string{"m"}},
		{name: "not by COPY --from", source: "FROM scratch\nCOPY --from=copies /x /\n", images: []string{"copies"}},
		{name: "by an argument", source: "ARG X=copies\nFROM $X\n", images: []string{"copies"}, reads: []string{"a", "b"}},
		{name: "not in a stage on the stage", source: "FROM mounts AS m\nFROM m\nCOPY c /\n", images: []string{"mounts"}, reads: []string{"m", "c"}},
		{name: "of a stage", source: "FROM scratch AS s\nONBUILD COPY c /\nFROM s AS t\nFROM t\n", reads: []string{"c"}},
		{name: "needs a stage", source: "FROM debian AS build\nCOPY c /\nFROM stages\n", images: []string{"debian", "stages"}, reads: []string{"c"}},
		{name: "an image with its digest", source: "FROM pinned\n", images: []string{"pinned"}},
		{name: "a heredoc", source: "FROM here\n", images: []string{"here"}},
		{name: "what it carries", source: "FROM copies AS x\nONBUILD RUN no\nFROM scratch\nONBUILD  COPY . /app\nonbuild RUN a && \\\n  b\n", carries: []string{"COPY . /app", "RUN a &&   b"}},
		{name: "an image without its digest", source: "FROM images\n", failure: "Dockerfile:1: images has ONBUILD COPY --from=debian /x /: the digest of debian cannot be locked"},
		{name: "what is no instruction", source: "\nFROM broken\n", failure: "Dockerfile:2: broken has ONBUILD FORM x: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := dockerfile.Parse("Dockerfile", []byte(test.source), dockerfile.Options{OnBuild: func(image string) []string { return onBuild[image] }})
			if test.failure != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.failure) {
					t.Errorf("error %v, want %s", err, test.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var images []string
			for _, use := range file.Images {
				images = append(images, use.Image)
			}
			if !reflect.DeepEqual(images, test.images) || !reflect.DeepEqual(file.Reads, test.reads) || !reflect.DeepEqual(file.OnBuild, test.carries) {
				t.Errorf("images %q, reads %q, carries %q", images, file.Reads, file.OnBuild)
			}
		})
	}
}
