package check_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/check"
)

// TestPage holds the page of the rules against the rules: a section for each, with
// its severity.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^### ([a-z-]+)\n\n(Error|Warning)`).FindAllStringSubmatch(string(page), -1) {
		sections[match[1]] = strings.ToLower(match[2])
	}
	if headings := strings.Count(string(page), "\n### "); headings != len(sections) {
		t.Errorf("%d sections, and %d of them are of a rule with a severity", headings, len(sections))
	}
	for _, rule := range check.Rules() {
		if got := sections[string(rule.Name)]; got != string(rule.Severity) {
			t.Errorf("the section of %s says %q, want %q", rule.Name, got, rule.Severity)
		}
		if rule.Summary == "" {
			t.Errorf("%s has no summary", rule.Name)
		}
		delete(sections, string(rule.Name))
	}
	for name := range sections {
		t.Errorf("there is no rule %s", name)
	}
}
