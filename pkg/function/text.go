package function

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// LastLines are the last lines of a text, at most n, each of a length that
// people read.
func LastLines(text string, n int) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i := range lines {
		lines[i] = Shorten(strings.TrimRight(lines[i], "\r"), 500)
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}

// Shorten cuts text after most bytes, between characters.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:end], len(text))
}
