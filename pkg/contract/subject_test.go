package contract

import (
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/testfile"
)

func TestLoad(t *testing.T) {
	dir := testfile.Tree(t, map[string]string{"Contract.java": "class", "hellowithdeps.java": "with", "pom.xml": "deps", "alone.java": ""})
	s := Subject{FileNameSuffix: ".java", DepName: "pom.xml"}
	f, err := s.load(dir, "contract", false)
	if err != nil || f.module != "Contract" || f.file != "Contract.java" || string(f.content) != "class" || f.deps != nil {
		t.Errorf("contract: %+v, %v", f, err)
	}
	if f, err = s.load(dir, "hellowithdeps", true); err != nil || string(f.deps) != "deps" {
		t.Errorf("hellowithdeps: %+v, %v", f, err)
	}
	if _, err = s.load(dir, "broken", false); err == nil || !strings.Contains(err.Error(), "no broken.java") {
		t.Errorf("broken: %v", err)
	}
	s.DepName = "go.mod"
	if _, err = s.load(dir, "hellowithdeps", true); err == nil || !strings.Contains(err.Error(), "no go.mod") {
		t.Errorf("hellowithdeps without dependencies: %v", err)
	}
}

func TestSuffix(t *testing.T) {
	if got, err := Suffix(testfile.Tree(t, map[string]string{"Contract.java": "", "broken.java": "", "contract.yaml": ""})); got != ".java" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for want, files := range map[string]map[string]string{
		"no contract.<ext>": {"contract.yaml": "", "other.py": ""},
		"say which one":     {"contract.py": "", "contract.rb": ""},
	} {
		if got, err := Suffix(testfile.Tree(t, files)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v, want an error with %q", got, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for source, want := range map[string]struct{ handler, err string }{
		"":                               {handler: "handler"},
		"handler: Handler":               {handler: "Handler"},
		"skip: {stream: no way to do it": {err: "contract.yaml"},
		"skip: {stream: \"\"}":           {err: "the reason is missing"},
		"skip: {steram: a reason}":       {err: `there is no check "steram"`},
		"handlers: x":                    {err: "handlers"},
		"handler: a.b":                   {err: "not a function's name"},
	} {
		got, err := readSettings(testfile.Tree(t, map[string]string{settingsFile: source}))
		switch {
		case want.err == "" && (err != nil || got.Handler != want.handler):
			t.Errorf("%q: got %+v, %v", source, got, err)
		case want.err != "" && (err == nil || !strings.Contains(err.Error(), want.err)):
			t.Errorf("%q: got error %v, want %q in it", source, err, want.err)
		}
	}
	if got, err := readSettings(t.TempDir()); err != nil || got.Handler != "handler" {
		t.Errorf("no file: %+v, %v", got, err)
	}
}
