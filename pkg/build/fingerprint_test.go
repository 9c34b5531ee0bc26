package build_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// fingerprint makes a plan of these Dockerfiles, with files in each context, and
// fingerprints it.
func fingerprint(t *testing.T, settings build.Settings, dockerfiles map[string]string, files ...string) map[string]build.PreparedStep {
	t.Helper()
	root := t.TempDir()
	for name, source := range dockerfiles {
		write(t, filepath.Join(root, "stable", name, "Dockerfile"), source)
		for _, file := range files {
			write(t, filepath.Join(root, "stable", name, file), "x")
		}
	}
	targets := targetsIn(dockerfiles)
	plan, err := build.NewPlan(root, targets, targets, settings.Platforms)
	if err != nil {
		t.Fatal(err)
	}
	run := build.Run{Bases: where{}, Registry: where{}, Settings: settings}
	steps := map[string]build.PreparedStep{}
	for _, step := range run.Fingerprint(t.Context(), plan).Steps {
		steps[strings.TrimSuffix(step.Name, ":1")] = step
	}
	return steps
}

// An image's time is its base's, through siblings and stages; it does not
// follow the sources.
func TestEpoch(t *testing.T) {
	base, earliest := time.Unix(1_700_000_000, 0), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	steps := fingerprint(t, build.Settings{}, map[string]string{
		"based":   "FROM debian AS x\nFROM x\n",
		"child":   "FROM acme/based:1\nCOPY --from=acme/old / /\n",
		"scratch": "FROM scratch\nCOPY --from=debian / /\n",
		"old":     "FROM acme/old\n",
		"onold":   "FROM acme/old:1\n",
		"own":     "ARG SOURCE_DATE_EPOCH=1000\nFROM debian\n",
		"onown":   "FROM acme/own:1\n",
		"unknown": "FROM acme/unknown\n",
	})
	for name, want := range map[string]time.Time{
		"based": base, "child": base, "scratch": earliest, "old": earliest, "onold": earliest,
		"own": time.Unix(1000, 0), "onown": earliest, "unknown": earliest,
	} {
		if got := steps[name].Epoch; !got.Equal(want) || steps[name].Err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, steps[name].Err, want)
		}
	}
}

// The platform is part of the inputs, and each of several has its own.
func TestPlatformInputs(t *testing.T) {
	dockerfiles := map[string]string{
		"plain":  "FROM debian\n",
		"files":  "FROM scratch\nARG TARGETARCH\nCOPY bin/$TARGETARCH /tool\n",
		"stages": "FROM scratch AS bin-amd64\nCOPY amd /\nFROM debian AS bin-arm64\nCOPY arm /\nFROM bin-$TARGETARCH\n",
		"env":    "FROM debian\nCOPY conf/$PLATFORM/x /\n",
	}
	files := []string{"bin/amd64", "bin/arm64", "amd", "arm", "conf/linux/amd64/x", "conf/linux/arm64/x"}
	one := fingerprint(t, build.Settings{Platforms: []string{"linux/amd64"}}, dockerfiles, files...)
	other := fingerprint(t, build.Settings{Platforms: []string{"linux/arm64"}}, dockerfiles, files...)
	both := fingerprint(t, build.Settings{Platforms: []string{"linux/amd64", "linux/arm64"}}, dockerfiles, files...)
	reads := func(step build.PreparedStep) (names []string) {
		for name := range maps.Keys(step.Inputs.Files) {
			if name == "amd" || name == "arm" || strings.Contains(name, "amd64") || strings.Contains(name, "arm64") {
				names = append(names, name)
			}
		}
		return slices.Sorted(slices.Values(names))
	}
	for name, want := range map[string][3][]string{
		"plain":  {},
		"files":  {{"bin/amd64"}, {"bin/arm64"}, {"bin/amd64", "bin/arm64"}},
		"stages": {{"amd"}, {"arm"}, {"amd", "arm"}},
		"env":    {{"conf/linux/amd64", "conf/linux/amd64/x"}, {"conf/linux/arm64", "conf/linux/arm64/x"}, {"conf/linux/amd64", "conf/linux/amd64/x", "conf/linux/arm64", "conf/linux/arm64/x"}},
	} {
		prints := map[string]bool{}
		for i, steps := range []map[string]build.PreparedStep{one, other, both} {
			step := steps[name]
			if step.Err != nil || !slices.Equal(reads(step), want[i]) {
				t.Errorf("%s, %q: reads %q, %v; want %q", name, step.Inputs.Platforms, reads(step), step.Err, want[i])
			}
			prints[step.Fingerprint] = true
		}
		if len(prints) != 3 {
			t.Errorf("%s has %d fingerprints, want 3", name, len(prints))
		}
	}
	if got := both["stages"].Inputs.Bases; len(got) != 1 || got["debian"] == "" {
		t.Errorf("bases %v", got)
	}
}

// One platform has one name, whichever is asked for, and the paths that it stands
// in are those that the engine asks for.
func TestPlatformNames(t *testing.T) {
	names := []string{"linux/x86_64", "linux/amd64", "linux/arm", "linux/arm/v7", "linux/arm64", "linux/arm64/v8", "linux/aarch64", "linux/arm/v6"}
	got, err := build.NormalizePlatforms(names)
	if want := []string{"linux/amd64", "linux/arm/v7", "linux/arm64", "linux/arm/v6"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	variant := map[string]string{"variant": "FROM scratch\nARG TARGETARCH TARGETVARIANT\nCOPY $TARGETARCH$TARGETVARIANT /\n"}
	for name, want := range map[string]string{"linux/arm": "armv7", "linux/arm64/v8": "arm64", "linux/arm/v6": "armv6", "linux/amd64/v1": "amd64", "linux/amd64/v3": "amd64v3"} {
		step := fingerprint(t, build.Settings{Platforms: []string{name}}, variant, "armv7", "armv6", "arm64", "amd64", "amd64v3")["variant"]
		if step.Err != nil || len(step.Inputs.Files) != 1 || step.Inputs.Files[want] == "" {
			t.Errorf("%s reads %v, %v; want %s", name, step.Inputs.Files, step.Err, want)
		}
	}
}

// Where an image is built counts only if its Dockerfile names it, and only then
// is it asked for.
func TestBuildPlatform(t *testing.T) {
	asked := 0
	settings := build.Settings{Platforms: []string{"linux/amd64"}, BuildPlatform: func(context.Context) (string, error) { asked++; return "linux/s390x", nil }}
	cross := map[string]string{"cross": "FROM --platform=$BUILDPLATFORM debian\n"}
	if step := fingerprint(t, settings, map[string]string{"plain": "FROM debian\n"})["plain"]; asked != 0 || step.BuildPlatform != "" {
		t.Errorf("asked %d times, %q", asked, step.BuildPlatform)
	}
	there := fingerprint(t, settings, cross)["cross"]
	here := fingerprint(t, build.Settings{Platforms: settings.Platforms}, cross)["cross"]
	if asked == 0 || there.BuildPlatform != "linux/s390x" || there.Fingerprint == here.Fingerprint {
		t.Errorf("asked %d times, %q", asked, there.BuildPlatform)
	}
	settings.BuildPlatform = func(context.Context) (string, error) { return "", errors.New("no answer") }
	if err := fingerprint(t, settings, cross)["cross"].Err; err == nil || !strings.Contains(err.Error(), "stable/cross/Dockerfile: finding the platform that it is built on: no answer") {
		t.Errorf("error %v", err)
	}
}

// Wherever the name of an argument stands that tells where an image is built, it
// counts: in an ONBUILD instruction of a base, or over two lines.
func TestBuildPlatformWithoutItsName(t *testing.T) {
	dockerfiles := map[string]string{
		"parent": "FROM scratch\nONBUILD ARG BUILDARCH\nONBUILD ARG TARGETARCH\nONBUILD COPY bin/$BUILDARCH-$TARGETARCH /\n",
		"child":  "FROM acme/parent:1\n",
		"staged": "FROM acme/parent:1 AS tools\nFROM scratch\nCOPY --from=tools / /\n",
		"lines":  "FROM scratch\nARG BUILD\\\nARCH\nARG TARGETARCH\nCOPY bin/${BUILD\\\nARCH}-$TARGETARCH /\n",
		"stage":  "FROM scratch AS on-s390x\nCOPY bin/s390x-amd64 /\nFROM scratch AS on-amd64\nFROM scratch AS on-arm64\nFROM on-$BUILD\\\nARCH\n",
		"unused": "FROM acme/parent:1 AS tools\nFROM scratch\n",
		"plain":  "FROM debian\nRUN echo BUILD\n",
	}
	var files []string
	for _, from := range []string{"amd64", "arm64", "s390x"} {
		files = append(files, "bin/"+from+"-amd64", "bin/"+from+"-arm64")
	}
	settings := build.Settings{Platforms: []string{"linux/amd64", "linux/arm64"}, BuildPlatform: func(context.Context) (string, error) { return "linux/s390x", nil }}
	there := fingerprint(t, settings, dockerfiles, files...)
	settings.BuildPlatform = func(context.Context) (string, error) { return "linux/amd64", nil }
	here := fingerprint(t, settings, dockerfiles, files...)
	for name, want := range map[string][]string{
		"child": {"bin", "bin/s390x-amd64", "bin/s390x-arm64"}, "staged": {"bin", "bin/s390x-amd64", "bin/s390x-arm64"},
		"lines": {"bin", "bin/s390x-amd64", "bin/s390x-arm64"}, "stage": {"bin", "bin/s390x-amd64"},
		"unused": nil, "plain": nil,
	} {
		step := there[name]
		if got := slices.Sorted(maps.Keys(step.Inputs.Files)); step.Err != nil || !slices.Equal(got, want) {
			t.Errorf("%s reads %q, %v; want %q", name, got, step.Err, want)
		}
		shows := want != nil
		if shows != (step.BuildPlatform == "linux/s390x") || shows != (step.Fingerprint != here[name].Fingerprint) {
			t.Errorf("%s is built on %q, and has the fingerprint %s, elsewhere %s", name, step.BuildPlatform, step.Fingerprint, here[name].Fingerprint)
		}
	}
}

// A sibling that is named by where the image is built is built before it.
func TestBuildPlatformNamesSibling(t *testing.T) {
	arch := strings.Split(build.HostPlatform(), "/")[1]
	steps := fingerprint(t, build.Settings{Platforms: []string{"linux/s390x"}}, map[string]string{
		"cross":         "FROM --platform=$BUILDPLATFORM acme/tools-$BUILDARCH:1 AS tools\nFROM scratch\nCOPY --from=tools / /\n",
		"tools-" + arch: "FROM scratch\n",
		"tools-s390x":   "FROM scratch\n",
	})
	if cross := steps["cross"]; cross.Err != nil || !slices.Equal(cross.DependsOn, []string{"tools-" + arch + ":1"}) {
		t.Errorf("it depends on %q, %v", cross.DependsOn, cross.Err)
	}
}

// Where an image reads the Dockerfile, the text and the whole context count, and
// that image as a base.
func TestFrontendInputs(t *testing.T) {
	const source = "# syntax=acme/syntax:1\nFROM debian\nCOPY a /\n"
	step := fingerprint(t, build.Settings{}, map[string]string{"x": source}, "a", "b")["x"]
	if step.Err != nil || step.Frontend != "acme/syntax:1" || len(step.Inputs.Bases) != 2 || step.Inputs.Bases["acme/syntax:1"] == "" || step.Inputs.Files["b"] == "" {
		t.Errorf("%+v", step)
	}
	prints := map[string]bool{step.Fingerprint: true}
	for _, changed := range []string{source + "# comment\n", strings.Replace(source, "syntax:1", "syntax:2", 1)} {
		prints[fingerprint(t, build.Settings{}, map[string]string{"x": changed}, "a", "b")["x"].Fingerprint] = true
	}
	prints[fingerprint(t, build.Settings{}, map[string]string{"x": source}, "a", "b", "c")["x"].Fingerprint] = true
	if len(prints) != 4 || prints[""] {
		t.Errorf("fingerprints %v", prints)
	}
	sibling := fingerprint(t, build.Settings{}, map[string]string{"x": source, "syntax": "FROM scratch\n"}, "a")["x"]
	if sibling.Siblings["acme/syntax:1"] != "syntax:1" || !slices.Equal(sibling.DependsOn, []string{"syntax:1"}) {
		t.Errorf("%+v", sibling.Step)
	}
}

// What was read is what is sent: a file that changed in between fails its
// target, and no other.
func TestChangedFileFails(t *testing.T) {
	plan := tree(t, map[string]string{"a": "FROM scratch\nCOPY Dockerfile /\n", "b": "FROM scratch\nCOPY Dockerfile /\n"})
	engine := &recorder{requests: map[string]build.Request{}}
	w := where{engine: engine}
	run := build.Run{Builder: reader{engine}, Bases: w, Registry: w, Settings: build.Settings{Push: true, Jobs: 2}}
	prepared := run.Prepare(t.Context(), plan)
	if err := os.WriteFile(filepath.Join(plan.Root, "stable/a/Dockerfile"), []byte("FROM scratch\nCOPY dockerfile /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, out := range run.Do(t.Context(), prepared) {
		failed := out.Name == "a:1"
		if failed != (out.Status == build.StatusFailed) || failed && !strings.Contains(out.Err.Error(), "Dockerfile changed while the image was built: run again") {
			t.Errorf("%s: %s, %v", out.Name, out.Status, out.Err)
		}
	}
	if len(engine.requests) != 1 {
		t.Errorf("built %v", engine.order)
	}
}
