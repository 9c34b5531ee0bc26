package configmap_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/configmap"
)

// liveOf is a live ConfigMap with these keys, ours are those that an earlier
// Apply brought.
func liveOf(t *testing.T, data map[string]string, ours string) *configmap.Live {
	t.Helper()
	object, err := json.Marshal(map[string]any{"kind": "ConfigMap", "data": data,
		"metadata": map[string]any{"annotations": map[string]string{"dev.rtbuild/keys": ours}}})
	if err != nil {
		t.Fatal(err)
	}
	live, err := configmap.ParseLive(object)
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// What changes is told by versions, whatever spelling the live ConfigMap has.
func TestDifference(t *testing.T) {
	next, err := configmap.New([]byte(`[
		{"ID": "go", "depName": "go.mod", "versions": [
			{"name": "go1", "version": "1.10", "images": [{"phase": "compilation", "image": "g-init:1", "command": "make"}, {"phase": "runtime", "image": "g:1"}]},
			{"name": "go2", "version": "2", "images": [{"phase": "runtime", "image": "g:2"}]}]}]`), nil,
		configmap.Options{Data: map[string]string{"mine": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	full := configmap.Defaults()
	full["mine"] = "a"
	for name, tt := range map[string]struct {
		runtimes string
		with     map[string]string
		ours     string
		want     []string
	}{
		"the same in YAML and other cases": {
			runtimes: "- id: go\n  DepName: go.mod\n  Versions:\n  - {name: go1, version: '1.10', images: [{Phase: compilation, image: 'g-init:1', COMMAND: make}, {phase: runtime, image: 'g:1'}]}\n" +
				"  - {name: go2, version: '2', images: [{phase: runtime, image: 'g:2'}]}\n",
			want: []string{"changed runtime-images"},
		},
		"nothing there": {runtimes: "", want: []string{"added go 1.10", "added go 2"}},
		"a version less and one more": {
			runtimes: `[{"ID": "go", "depName": "go.mod", "versions": [{"name": "go2", "version": "2", "images": [{"phase": "runtime", "image": "g:2"}]}]},
				{"ID": "old", "versions": [{"version": "0"}]}]`,
			want: []string{"added go 1.10", "removed old 0"},
		},
		"a pin, a command, a phase": {
			runtimes: `[{"ID": "go", "depName": "go.mod", "versions": [
				{"name": "go1", "version": "1.10", "images": [{"phase": "compilation", "image": "g-init:0", "command": "make all"}, {"phase": "runtime", "image": "g:1"}]},
				{"name": "go2", "version": "2", "images": [{"phase": "runtime", "image": "g:2"}, {"phase": "installation", "image": "i"}]}]}]`,
			want: []string{"repinned go 1.10 compilation", "changed go 1.10", "removed go 2 installation", "changed go 2"},
		},
		"not to be read": {runtimes: "{", want: []string{"changed runtime-images"}},
		"other keys": {
			runtimes: "[]",
			with:     map[string]string{"mine": "b", "gone": "c", "theirs": "d"}, ours: "gone,mine,never-there",
			want: []string{"added go 1.10", "added go 2", "changed mine", "removed gone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string]string{configmap.Key: tt.runtimes}
			for key, value := range full {
				data[key] = value
			}
			for key, value := range tt.with {
				data[key] = value
			}
			var got []string
			for _, c := range next.Difference(liveOf(t, data, tt.ours)) {
				what := strings.TrimSpace(strings.Join([]string{c.Runtime, c.Version, c.Phase}, " "))
				if what == "" {
					what = c.Key
				}
				got = append(got, c.Kind+" "+what)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseLiveRefusesOthers(t *testing.T) {
	for _, object := range []string{"", "[]", `{"kind": "List"}`} {
		if _, err := configmap.ParseLive([]byte(object)); err == nil {
			t.Errorf("%q is taken for a ConfigMap", object)
		}
	}
}
