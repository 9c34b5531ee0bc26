package report

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terminalSequence is an escape sequence of ECMA-48: CSI (colours, cursor), OSC
// (titles, links), or one of two bytes.
var terminalSequence = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]`)

// plain is text as a document can carry it: valid UTF-8, without the colours
// that tools print, and with U+FFFD for every other control character but
// tab, CR and LF.
func plain(s string) string {
	s = terminalSequence.ReplaceAllString(strings.ToValidUTF8(s, string(utf8.RuneError)), "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// firstLine is the first line of s that holds anything.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

// oneLine is s with each run of white space as one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// shorten cuts s after most characters.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
