package function

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// A tree collects the files of a folder or an archive, and lets nothing in
// that would leave it: names are relative and go through no link, links lead to
// where they can only stay inside.
type tree struct {
	limits Limits
	left   int64
	// files are by name, folders are those that files or entries name.
	files   map[string]File
	folders map[string]bool
	entries int
}

func newTree(limits Limits) *tree {
	return &tree{limits: limits, left: limits.Bytes, files: map[string]File{}, folders: map[string]bool{}}
}

func tooLarge(limits Limits) error {
	return fmt.Errorf("it comes to more than %d MB, which is the most that a function's source may have", limits.Bytes>>20)
}

// admit makes sure that an entry may have this name, and returns it clean.
func (t *tree) admit(name string) (string, error) {
	if t.entries++; t.entries > t.limits.Files {
		return "", fmt.Errorf("it has more than %d entries, which is the most that a function's source may have", t.limits.Files)
	}
	if strings.ContainsAny(name, "\x00\\") || len(name) > 4096 {
		return "", fmt.Errorf("entry %q: a name that no function's file may have", Shorten(name, 200))
	}
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("entry %q leaves the function's folder", name)
	}
	for parent := path.Dir(clean); parent != "."; parent = path.Dir(parent) {
		if _, taken := t.files[parent]; taken {
			return "", fmt.Errorf("entry %q lies under %q, which is no folder", name, parent)
		}
		t.folders[parent] = true
	}
	return clean, nil
}

func (t *tree) folder(name string) error {
	clean, err := t.admit(name)
	if err != nil || clean == "." {
		return err
	}
	if _, taken := t.files[clean]; taken {
		return fmt.Errorf("entry %q is a folder and a file", name)
	}
	t.folders[clean] = true
	return nil
}

// file adds a file with what content has.
func (t *tree) file(name string, content io.Reader, executable bool) error {
	clean, err := t.admit(name)
	if err != nil {
		return err
	}
	if t.folders[clean] || clean == "." {
		return fmt.Errorf("entry %q is a folder and a file", name)
	}
	read, err := io.ReadAll(io.LimitReader(content, t.left+1))
	if err != nil {
		return fmt.Errorf("entry %q: %w", name, err)
	}
	if t.left -= int64(len(read)); t.left < 0 {
		return tooLarge(t.limits)
	}
	t.files[clean] = File{Name: clean, Content: read, Executable: executable}
	return nil
}

// link adds a symbolic link. Names go through no link, so its folder is where
// it seems to be; .. first and then names alone lead up real folders, and from
// there through links of which the same holds.
func (t *tree) link(name, target string) error {
	clean, err := t.admit(name)
	if err != nil {
		return err
	}
	if t.folders[clean] || clean == "." {
		return fmt.Errorf("entry %q is a folder and a link", name)
	}
	down := false
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." && down {
			return fmt.Errorf("entry %q links to %q: write .. first in it, or nothing keeps it in the function's folder", name, target)
		}
		down = down || part != ".." && part != "." && part != ""
	}
	reached := path.Join(path.Dir(clean), target)
	if target == "" || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") || reached == ".." || strings.HasPrefix(reached, "../") {
		return fmt.Errorf("entry %q links to %q, which is outside of the function's folder", name, target)
	}
	t.files[clean] = File{Name: clean, Link: target}
	return nil
}

// hardLink adds another name of a file that came before.
func (t *tree) hardLink(name, target string) error {
	file, ok := t.files[path.Clean(target)]
	if !ok || file.Link != "" {
		return fmt.Errorf("entry %q is a hard link to %q, which is no file that comes before it", name, target)
	}
	return t.file(name, strings.NewReader(string(file.Content)), file.Executable)
}

// finish returns the files by name.
func (t *tree) finish() ([]File, error) {
	files := make([]File, 0, len(t.files))
	for _, file := range t.files {
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, errors.New("it has no files")
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}
