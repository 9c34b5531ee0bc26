package scaffold

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// compareVersions orders versions by their numbers: 3.9 is before 3.10.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX != nil || errY != nil {
			return strings.Compare(a, b)
		}
		return cmp.Compare(x, y)
	})
}

// newest is the index of the version with the highest number.
func newest(versions []manifest.Version) int {
	best := 0
	for i, v := range versions {
		if compareVersions(v.Version, versions[best].Version) > 0 {
			best = i
		}
	}
	return best
}

// A change of version is from one to another. The zero value changes nothing.
type change struct{ old, new string }

// in is a text with the old version in it replaced where it stands for itself: not
// as part of another number.
func (c change) in(text string) string {
	if c.old == c.new {
		return text
	}
	return replaceWhole(text, c.old, c.new, digit, digit)
}

// inProse is in for texts that may have numbers of other things in them: a version
// of one number is left alone there, but for what it is all of.
func (c change) inProse(text string) string {
	if text == c.old {
		return c.new
	}
	if !strings.Contains(c.old, ".") {
		return text
	}
	return c.in(text)
}

// inName is the name of a version: python3.13 as python313.
func (c change) inName(name string) string {
	if replaced := c.in(name); replaced != name {
		return replaced
	}
	dense := func(version string) string { return strings.ReplaceAll(version, ".", "") }
	return replaceWhole(name, dense(c.old), dense(c.new), digit, digit)
}

var (
	digit = regexp.MustCompile(`[0-9]`)
	// name is what goes on within names, and word within those of repositories.
	name = regexp.MustCompile(`[A-Za-z0-9_-]`)
	word = regexp.MustCompile(`[A-Za-z0-9_/-]`)
)

// replaceWhole replaces old in a text where the character before it is not one of
// before, and the one behind it none of behind; a dot is looked through.
func replaceWhole(text, old, replacement string, before, behind *regexp.Regexp) string {
	if old == "" {
		return text
	}
	var out strings.Builder
	for {
		at := strings.Index(text, old)
		if at < 0 {
			return out.String() + text
		}
		head, rest := text[:at], text[at+len(old):]
		whole := !before.MatchString(last(strings.TrimSuffix(head, "."))) && !behind.MatchString(first(strings.TrimPrefix(rest, ".")))
		if at == 0 && out.Len() > 0 {
			whole = false // it goes on from what was before
		}
		out.WriteString(head)
		if whole {
			out.WriteString(replacement)
		} else {
			out.WriteString(old)
		}
		text = rest
	}
}

func first(text string) string { return text[:min(1, len(text))] }
func last(text string) string  { return text[len(text)-min(1, len(text)):] }

// digests are the pins of images in a source or a reference.
var digests = regexp.MustCompile(`@sha256:[0-9a-f]{64}`)

// A renaming is what a copied runtime's own names become.
type renaming struct {
	oldID, newID         string
	oldFolder, newFolder string
	// repositories are those that the runtime's Dockerfiles make, and their new
	// names.
	repositories map[string]string
}

// in is a text of the folder with the names of repositories and of the folder
// replaced.
func (r renaming) in(text string) string {
	for old, replacement := range r.repositories {
		text = replaceWhole(text, old, replacement, word, word)
	}
	return replaceWhole(text, r.oldFolder, r.newFolder, name, name)
}

// repository is the new name of a repository: its last part is the runtime's name,
// and what followed the old one there.
func (r renaming) repository(old string, isInit bool) string {
	namespace, base := path.Split(old)
	dashed := func(id string) string { return strings.ReplaceAll(id, "_", "-") }
	for _, id := range []string{r.oldID, dashed(r.oldID), path.Base(r.oldFolder)} {
		if rest, ok := strings.CutPrefix(base, id); ok && (rest == "" || rest[0] == '-') {
			return namespace + dashed(r.newID) + rest
		}
	}
	if isInit {
		return namespace + dashed(r.newID) + "-init"
	}
	return namespace + dashed(r.newID)
}
