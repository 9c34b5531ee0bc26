package differential

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// A variant is a case with one difference.
type variant struct {
	what  string
	files tree
	// changed is the path in the context of what differs; empty for what
	// concerns the whole.
	changed string
	// equal: the image must not differ.
	equal bool
	// loose: the image may have the same content and another fingerprint.
	loose bool
}

// variants are some of a case, different ones.
func (g *generator) variants(count int) []variant {
	all := append(g.changes(), g.additions()...)
	g.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = append(g.harmless(), all...)
	// One that is harmless, and others.
	first := g.IntN(4)
	chosen := []variant{all[first]}
	return append(chosen, all[4:min(len(all), 3+count)]...)
}

// inside is the path in the context of a path of the case's files.
func (c *testCase) inside(name string) (string, bool) {
	if c.root == "." {
		return name, true
	}
	return strings.CutPrefix(name, c.root+"/")
}

// harmless are four variants that a checkout or an editor makes, and that no
// image may show.
func (g *generator) harmless() []variant {
	group, private, touched, reformatted := g.c.files.clone(), g.c.files.clone(), g.c.files.clone(), g.c.files.clone()
	for _, name := range slices.Concat(g.c.files.folders(), g.c.files.of(file)) {
		e, ok := g.c.files[name]
		if !ok {
			e = entry{kind: folder, mode: 0o755}
		}
		if name != "." {
			group[name] = e.with(e.mode | 0o060 | e.mode&0o100>>3)
			private[name] = e.with(e.mode &^ 0o077)
		}
		if e.kind == file {
			e.touched = time.Hour
			touched[name] = e
		}
	}
	dockerfile := g.c.files[g.c.dockerfile]
	dockerfile.content = strings.ReplaceAll(dockerfile.content, "\nFROM ", "\n\n# A comment.\nFROM ")
	reformatted[g.c.dockerfile] = dockerfile
	return []variant{
		{what: "umask 002", files: group, equal: true},
		{what: "umask 077", files: private, equal: true},
		{what: "touch", files: touched, equal: true},
		{what: "a comment", files: reformatted},
	}
}

func (e entry) with(mode fs.FileMode) entry {
	e.mode = mode
	return e
}

// changes are all variants in which something that is there differs.
func (g *generator) changes() []variant {
	var all []variant
	for _, name := range g.c.files.paths() {
		inside, ok := g.c.inside(name)
		if !ok || name == g.c.dockerfile {
			continue
		}
		change := func(what string, loose bool, edit func(files tree, e entry)) {
			files := g.c.files.clone()
			edit(files, files[name])
			all = append(all, variant{what: what + " " + name, files: files, changed: inside, loose: loose})
		}
		if g.oneIn(3) {
			change("remove", false, func(files tree, _ entry) { files.remove(name) })
		}
		switch e := g.c.files[name]; {
		case e.kind == link:
			change("turn", true, func(files tree, e entry) {
				e.content = pick(g, "conf", "src/a.txt", "nowhere", "../lib")
				files[name] = e
			})
		case e.kind == file && len(tokens(e.content)) > 0:
			change("edit", false, func(files tree, e entry) {
				// Sometimes of equal length, as always in an archive, whose end nothing may
				// follow.
				if ending := pick(g, "!", "edited"); strings.ContainsRune(e.content, 0) {
					e.content = strings.Replace(e.content, ";\n", ";!", 1)
				} else {
					e.content = strings.TrimSuffix(e.content, "\n") + ending
				}
				files[name] = e
			})
			if g.oneIn(3) {
				change("chmod", false, func(files tree, e entry) {
					if e.mode&0o100 != 0 {
						files[name] = e.with(e.mode &^ 0o111)
					} else {
						files[name] = e.with(e.mode | 0o111)
					}
				})
			}
			if g.oneIn(8) {
				change("link instead of", true, func(files tree, _ entry) { files[name] = entry{kind: link, content: "nowhere"} })
			}
			if g.oneIn(8) {
				change("folder instead of", true, func(files tree, _ entry) { files[name] = entry{kind: folder, mode: 0o755} })
			}
		case strings.HasSuffix(name, ".dockerignore"):
			change("add to", true, func(files tree, e entry) {
				e.content += pick(g, "src/in\n", "**/*.txt\n", "conf\n", "!src\n", "**\n!src\n!conf\n")
				files[name] = e
			})
		}
	}
	return all
}

// additions are some variants in which something is new.
func (g *generator) additions() []variant {
	var all []variant
	for _, dir := range g.c.files.folders() {
		if g.c.files[dir].kind == link {
			continue
		}
		name := path.Join(dir, pick(g, "new.txt", "new.md", ".new", "a.py", "newer"))
		inside, ok := g.c.inside(name)
		if _, there := g.c.files[name]; there || !ok {
			continue
		}
		files := g.c.files.clone()
		files[name] = pick(g, entry{kind: file, mode: 0o644, content: g.token()}, entry{kind: file, mode: 0o644, content: g.token()},
			entry{kind: folder, mode: 0o755}, entry{kind: link, content: "a.txt"})
		// Of an empty folder that a wildcard matches, nothing gets into the image.
		loose := files[name].kind == folder
		all = append(all, variant{what: fmt.Sprintf("add %s %s", files[name].kind, name), files: files, changed: inside, loose: loose})
	}
	return all
}
