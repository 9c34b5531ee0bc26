package check

import (
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// Select are those of the findings that are about what is selected: its Dockerfiles,
// its runtimes and versions, and the other files of their folders.
func Select(root string, findings []manifest.Finding, d *discover.Discovery, s discover.Selection) []manifest.Finding {
	wanted, known := dockerfilesOf(s.Targets, s.Undecided), dockerfilesOf(slices.Concat(d.Targets, d.Unused), d.Undecided)
	var selected []manifest.Finding
	for _, f := range findings {
		file := relative(root, f.Position.File)
		about := func(u discover.Usage) bool {
			if f.Subject != "" {
				return f.Subject == u.Runtime || strings.HasPrefix(f.Subject+" ", u.Runtime+" "+u.Version+" ")
			}
			return u.Folder != "" && covers(u.Folder, file)
		}
		if wanted[file] || !known[file] && slices.ContainsFunc(s.Usages, about) {
			selected = append(selected, f)
		}
	}
	return selected
}

func dockerfilesOf(targets []*discover.Target, undecided []discover.Undecided) map[string]bool {
	files := map[string]bool{}
	for _, t := range targets {
		files[t.Dockerfile] = true
	}
	for _, u := range undecided {
		files[u.Dockerfile] = true
	}
	return files
}
