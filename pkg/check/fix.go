package check

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// A fixer changes a file's content so that a finding is gone; it returns the content
// as it is where it cannot tell how.
type fixer func(content []byte, f manifest.Finding) []byte

// fixers are for the rules of which it is certain what is meant.
func fixers() map[manifest.Rule]fixer {
	return map[manifest.Rule]fixer{
		RuleCRLF:                        fixCRLF,
		"from-as-casing":                fixAsCasing,
		"consistent-instruction-casing": fixInstructionCasing,
		"expose-proto-casing":           fixExposeCasing,
		"legacy-key-value-format":       fixKeyValue,
		"redundant-target-platform":     fixTargetPlatform,
	}
}

// Fix mends what findings say where it is certain how, and returns the findings that
// it mended. Files are written whole.
func Fix(findings []manifest.Finding) ([]manifest.Finding, error) {
	var fixed []manifest.Finding
	for _, f := range findings {
		fix, ok := fixers()[f.Rule]
		if !ok || f.Position.File == "" {
			continue
		}
		info, err := os.Stat(f.Position.File)
		if err != nil {
			return fixed, fmt.Errorf("fixing %s: %w", f.Position.File, err)
		}
		before, err := os.ReadFile(f.Position.File)
		if err != nil {
			return fixed, fmt.Errorf("fixing %s: %w", f.Position.File, err)
		}
		after := fix(before, f)
		if bytes.Equal(before, after) {
			continue
		}
		if err := os.WriteFile(f.Position.File, after, info.Mode().Perm()); err != nil {
			return fixed, fmt.Errorf("fixing %s: %w", f.Position.File, err)
		}
		fixed = append(fixed, f)
	}
	return fixed, nil
}

func fixCRLF(content []byte, _ manifest.Finding) []byte {
	return bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
}

var (
	fromAs      = regexp.MustCompile(`(?i)^(\s*from\s.*\s)(as)(\s+\S+\s*)$`)
	instruction = regexp.MustCompile(`^(\s*)([A-Za-z]+)`)
	exposed     = regexp.MustCompile(`(?i)^\s*expose\s[^\\]*$`)
	protocol    = regexp.MustCompile(`/[A-Za-z]+`)
	// keyValue is a value of plain words, which quotes keep as they are.
	keyValue       = regexp.MustCompile(`(?i)^(\s*(?:env|label)\s+)([A-Za-z0-9._-]+)\s+([A-Za-z0-9._/:@%+,-]+(?: [A-Za-z0-9._/:@%+,-]+)*)\s*$`)
	targetPlatform = regexp.MustCompile(`(?i)^(\s*from\s+)--platform=\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})\s+`)
)

// fixExposeCasing writes the protocols of an EXPOSE on one line in lower case.
func fixExposeCasing(content []byte, f manifest.Finding) []byte {
	return onLine(content, f.Position.Line, func(line string) string {
		if !exposed.MatchString(line) {
			return line
		}
		return protocol.ReplaceAllStringFunc(line, strings.ToLower)
	})
}

// fixKeyValue writes ENV and LABEL with an equals sign, unless there is more in the
// value than plain words.
func fixKeyValue(content []byte, f manifest.Finding) []byte {
	return onLine(content, f.Position.Line, func(line string) string {
		match := keyValue.FindStringSubmatch(line)
		if match == nil {
			return line
		}
		value := match[3]
		if strings.Contains(value, " ") {
			value = `"` + value + `"`
		}
		return match[1] + match[2] + "=" + value
	})
}

// fixTargetPlatform leaves out the platform that FROM takes anyway.
func fixTargetPlatform(content []byte, f manifest.Finding) []byte {
	return onLine(content, f.Position.Line, func(line string) string {
		return targetPlatform.ReplaceAllString(line, "$1")
	})
}

// fixAsCasing writes AS as FROM is written.
func fixAsCasing(content []byte, f manifest.Finding) []byte {
	return onLine(content, f.Position.Line, func(line string) string {
		match := fromAs.FindStringSubmatch(line)
		if match == nil {
			return line
		}
		as := "as"
		if strings.HasPrefix(strings.TrimSpace(line), "FROM") {
			as = "AS"
		}
		return match[1] + as + match[3]
	})
}

// fixInstructionCasing writes an instruction as most of them are, which the message
// says.
func fixInstructionCasing(content []byte, f manifest.Finding) []byte {
	convert := strings.ToUpper
	if strings.Contains(f.Message, "(lowercase)") {
		convert = strings.ToLower
	}
	return onLine(content, f.Position.Line, func(line string) string {
		match := instruction.FindStringSubmatch(line)
		if match == nil {
			return line
		}
		return match[1] + convert(match[2]) + line[len(match[0]):]
	})
}

// onLine changes one line, 1-based, whose end is kept.
func onLine(content []byte, number int, change func(string) string) []byte {
	lines := strings.SplitAfter(string(content), "\n")
	if number < 1 || number > len(lines) {
		return content
	}
	line := lines[number-1]
	text := strings.TrimRight(line, "\r\n")
	lines[number-1] = change(text) + line[len(text):]
	return []byte(strings.Join(lines, ""))
}
