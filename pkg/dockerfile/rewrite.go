package dockerfile

import (
	"fmt"
	"strings"
)

// Rewrite returns the source with the image of some uses replaced: for each
// use, replace returns the new reference, or "" to leave it. Line numbers stay
// as they are, so that an engine's messages fit the file on disk. The uses are
// those that Images found in the same source.
func Rewrite(source []byte, uses []Use, replace func(Use) string) ([]byte, error) {
	lines := strings.SplitAfter(string(source), "\n")
	for _, use := range uses {
		image := replace(use)
		if image == "" || image == use.written {
			continue
		}
		var err error
		if use.from {
			err = rewriteFrom(lines, use, image)
		} else {
			err = rewriteFlag(lines, use, image)
		}
		if err != nil {
			return nil, err
		}
	}
	return []byte(strings.Join(lines, "")), nil
}

// rewriteFrom replaces the first word of a FROM that is neither the keyword
// nor a flag. The instruction may run over several lines.
func rewriteFrom(lines []string, use Use, image string) error {
	keyword := false
	for i := use.Line - 1; i < use.endLine && i < len(lines); i++ {
		text := lines[i]
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			continue
		}
		for at := 0; at < len(text); {
			start := at + indexWord(text[at:])
			end := start + wordLength(text[start:])
			word := text[start:end]
			switch {
			case word == "" || word == `\` || word == "`":
			case !keyword:
				keyword = strings.EqualFold(strings.TrimPrefix(word, "\uFEFF"), "FROM")
			case strings.HasPrefix(word, "--"):
			default:
				// A continuation may follow the image without a space.
				end = start + len(strings.TrimRight(word, "\\`"))
				lines[i] = text[:start] + image + text[end:]
				return nil
			}
			if end == at {
				break
			}
			at = end
		}
	}
	return fmt.Errorf("line %d: no FROM to rewrite", use.Line)
}

func indexWord(s string) int {
	return len(s) - len(strings.TrimLeft(s, " \t\r\n"))
}

func wordLength(s string) int {
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return i
	}
	return len(s)
}

// rewriteFlag replaces the value of a from= of COPY --from or RUN
// --mount=…,from=….
func rewriteFlag(lines []string, use Use, image string) error {
	for i := use.Line - 1; i < use.endLine && i < len(lines); i++ {
		if at := indexFrom(lines[i], use.written); at >= 0 {
			lines[i] = lines[i][:at] + image + lines[i][at+len(use.written):]
			return nil
		}
	}
	return fmt.Errorf("line %d: no from=%s to rewrite", use.Line, use.written)
}

// indexFrom finds the value of from=written in a line, where the value ends
// at a space, a comma, a quote or the line's end.
func indexFrom(text, written string) int {
	for at := 0; ; {
		i := strings.Index(text[at:], "from="+written)
		if i < 0 {
			return -1
		}
		start := at + i + len("from=")
		end := start + len(written)
		if end == len(text) || strings.ContainsRune(" \t\r\n,\"'", rune(text[end])) {
			return start
		}
		at = end
	}
}
