package nearest

import "testing"

func TestQuestion(t *testing.T) {
	known := []string{"go", "java", "nodejs", "nodejs18", "nodejs20", "nodejs:18", "nodejs:20", "python", "python3.11", "python3.13", "nodejs_distroless", "python"}
	for wanted, want := range map[string]string{
		"pyton":      "; did you mean python?",
		"PYTHON":     "; did you mean python, python3.11 or python3.13?",
		"python3.14": "; did you mean python3.11, python3.13 or python?",
		"nodejs:24":  "; did you mean nodejs:20, nodejs20 or nodejs:18?",
		"distroless": "; did you mean nodejs_distroless?",
		"jvaa":       "; did you mean java?",
		"cobol":      "",
		"":           "",
		"g":          "; did you mean go?",
		"xy":         "",
	} {
		if got := Question(wanted, known); got != want {
			t.Errorf("%q: %q, want %q", wanted, got, want)
		}
	}
}
