package strictyaml

import "testing"

func TestDecode(t *testing.T) {
	type settings struct {
		Name  string `yaml:"name"`
		Count int    `yaml:"count"`
	}
	for source, want := range map[string]string{
		"":                          "",
		"# nothing\n":               "",
		"name: a\ncount: 3\n":       "",
		"name: a\nnames: b\nx: 1\n": "f.yaml:2: unknown key \"names\"; keys.md lists the keys\nf.yaml:3: unknown key \"x\"; keys.md lists the keys",
		"count: many\n":             "f.yaml:1: cannot unmarshal !!str `many` into int",
		"name: a\n---\nname: b\n":   "f.yaml: holds a second document; one is read",
		"name: [\n":                 "f.yaml: line 1: did not find expected node content",
	} {
		var got settings
		err := Decode("f.yaml", []byte(source), &got, "keys.md")
		switch {
		case want == "" && err != nil, want != "" && (err == nil || err.Error() != want):
			t.Errorf("%q: error %v, want %q", source, err, want)
		}
	}
}
