package harness

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// runMark stands in the line before a block of commands that is to be run.
const runMark = "<!-- run -->"

// Follow does what a page says: its marked blocks run as they stand, one after the
// other in one shell, in a folder. There are so many of them at least. Of PATH#SECTION
// they are those of one section, below a heading of level 2, with - for spaces.
func Follow(tb testing.TB, page string, least int, dir string, env ...string) {
	tb.Helper()
	path, section, _ := strings.Cut(page, "#")
	blocks := markedBlocks(Read(tb, path), section)
	if len(blocks) < least {
		tb.Fatalf("%s has %d blocks to run", page, len(blocks))
	}
	script := "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + strings.Join(blocks, "")
	cmd := exec.Command("bash", "-euxo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+PathWithBinary(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=n", "GIT_AUTHOR_EMAIL=n@example.org", "GIT_COMMITTER_NAME=n", "GIT_COMMITTER_EMAIL=n@example.org")
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", page, err, Tail(string(out)))
	}
}

// markedBlocks are the marked blocks of Markdown, of one section if that is named.
// In a list they are indented.
func markedBlocks(source, section string) []string {
	var blocks []string
	heading, marked, in, indent := "", false, false, ""
	for line := range strings.Lines(source) {
		text := strings.TrimSpace(line)
		switch {
		case in && text == "```":
			in = false
		case in:
			blocks[len(blocks)-1] += strings.TrimPrefix(line, indent)
		case strings.HasPrefix(line, "## "):
			heading = strings.ReplaceAll(strings.ToLower(text[3:]), " ", "-")
		case marked && text == "```sh":
			indent, _, _ = strings.Cut(line, "`")
			in, blocks = true, append(blocks, "")
		}
		marked = text == runMark && (section == "" || heading == section)
	}
	return blocks
}
