package discover

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// A file is a Dockerfile in a runtime folder, with what its name says.
type file struct {
	path    string // relative to the root
	kind    Kind
	version string // empty: for any version
	variant string // empty: the plain one
}

var versionPrefix = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*`)

// parseName reads a Dockerfile's name:
//
//	Dockerfile                      runtime, any version
//	Dockerfile.<version>            runtime
//	Dockerfile.<version>.<variant>  runtime, a variant
//	Dockerfile.init                 init, any version
//	Dockerfile.init.<version>       init
//	Dockerfile.<version>.init       init
//
// A version is what the folder's manifests declare, else digits and dots.
// Names of other files, such as ignore files, are no Dockerfiles.
func parseName(name string, versions map[string]bool) (file, bool) {
	rest, ok := strings.CutPrefix(name, "Dockerfile")
	if !ok || strings.HasSuffix(name, ".dockerignore") || strings.HasSuffix(name, "~") {
		return file{}, false
	}
	if rest == "" {
		return file{kind: KindRuntime}, true
	}
	rest, ok = strings.CutPrefix(rest, ".")
	if !ok || rest == "" {
		return file{}, false
	}
	f := file{kind: KindRuntime}
	if trimmed, ok := strings.CutPrefix(rest+".", "init."); ok {
		f.kind, rest = KindInit, strings.TrimSuffix(trimmed, ".")
	} else if trimmed, ok := strings.CutSuffix(rest, ".init"); ok {
		f.kind, rest = KindInit, trimmed
	}
	f.version, f.variant = splitVersion(rest, versions)
	return f, true
}

// splitVersion splits "8.opt" into version and variant. The longest declared
// version wins over what merely looks like one.
func splitVersion(s string, versions map[string]bool) (version, variant string) {
	for i := len(s); i > 0; i-- {
		if (i == len(s) || s[i] == '.') && versions[s[:i]] {
			return s[:i], strings.TrimPrefix(s[i:], ".")
		}
	}
	version = versionPrefix.FindString(s)
	if version == s {
		return s, ""
	}
	if version == "" || s[len(version)] != '.' {
		return "", s
	}
	return version, s[len(version)+1:]
}

// otherNames are names that people give to Dockerfiles, and that say nothing here.
var otherNames = regexp.MustCompile(`^Dockerfile[-_][^~]*$|\.[Dd]ockerfile$`)

// scan lists the Dockerfiles that lie directly in the runtime folders under
// root, by folder ("stable/go"), and files that may be some by their names, relative
// to root. versions are those that the manifests of a folder declare.
func scan(root string, folders []string, versions map[string]map[string]bool) (found map[string][]file, misnamed []string, err error) {
	found = map[string][]file{}
	for _, parent := range folders {
		parent = strings.Trim(filepath.ToSlash(filepath.Clean(parent)), "/")
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listing the runtime folders: %w", err)
		}
		for _, entry := range entries {
			folder := path.Join(parent, entry.Name())
			if strings.HasPrefix(entry.Name(), ".") || !isDir(root, folder, entry) {
				continue
			}
			files, others, err := scanFolder(root, folder, versions[folder])
			if err != nil {
				return nil, nil, err
			}
			found[folder], misnamed = files, append(misnamed, others...)
		}
	}
	return found, misnamed, nil
}

func isDir(root, folder string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir()
	}
	info, err := os.Stat(filepath.Join(root, folder))
	return err == nil && info.IsDir()
}

func scanFolder(root, folder string, versions map[string]bool) (files []file, misnamed []string, err error) {
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return nil, nil, fmt.Errorf("listing a runtime folder: %w", err)
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		f, ok := parseName(entry.Name(), versions)
		if other := otherNames.MatchString(entry.Name()); !ok && !other || isDir(root, name, entry) {
			continue
		}
		if !ok {
			misnamed = append(misnamed, name)
			continue
		}
		f.path = name
		files = append(files, f)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].path < files[j].path })
	return files, misnamed, nil
}
