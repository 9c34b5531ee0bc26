package function

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "EMPTY": "", "DOLLAR": "$(A)"}
	lookUp := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for text, want := range map[string]string{
		"":                    "",
		"plain":               "plain",
		"$(A)/$(A)x":          "1/1x",
		"[$(EMPTY)]":          "[]",
		"$(id -u) $(B)":       "$(id -u) $(B)",
		"$A ${A}":             "$A ${A}",
		"$$(A) $$$$ $$$(A)":   "$(A) $$ $1",
		"$(DOLLAR)":           "$(A)",
		"$(A":                 "$(A",
		"ends with $":         "ends with $",
		"$($(A))":             "$(1)",
		"pip -r $DEPS $(A) -": "pip -r $DEPS 1 -",
	} {
		if got := expand(text, lookUp); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := &environment{}
	env.setLiteral("VOLUME", "/kubeless")
	env.setLiteral("LITERAL", "$(VOLUME)")
	env.setAll(map[string]string{"B": "$(A)/$(LATER)", "A": "$(VOLUME)/lib", "LITERAL": "new"})
	want := []Variable{{"VOLUME", "/kubeless"}, {"A", "/kubeless/lib"}, {"B", "/kubeless/lib/$(LATER)"}, {"LITERAL", "new"}}
	if !slices.Equal(env.variables, want) {
		t.Errorf("got %v, want %v", env.variables, want)
	}
}
