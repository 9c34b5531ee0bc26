// Command notices prints the licences of the modules that this project's
// binaries hold: THIRD_PARTY_NOTICES. Texts that several modules have in common
// are printed once.
//
//	go run ./hack/notices ./cmd/rtbuild proxy > THIRD_PARTY_NOTICES
//
// Each argument is the folder of a main package, in whichever module it lies.
// Modules are those that Linux builds hold.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// A module is one that a binary holds.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

func (m module) name() string { return strings.TrimSpace(m.Path + " " + m.Version) }

func run(out io.Writer, packages []string) error {
	held := map[string]module{}
	for _, p := range packages {
		if err := list(p, held); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	modules := make([]module, 0, len(held))
	for _, m := range held {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return cmp.Compare(a.name(), b.name()) })
	holders := map[string][]string{} // by text
	var texts []string
	for _, m := range modules {
		found, err := licences(m)
		if err != nil {
			return err
		}
		for _, text := range found {
			if holders[text] == nil {
				texts = append(texts, text)
			}
			holders[text] = append(holders[text], m.name())
		}
	}
	return write(out, packages, texts, holders)
}

// list adds the modules that a package is built from.
func list(folder string, held map[string]module) error {
	command := exec.Command("go", "list", "-deps", "-json=Module", ".")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	listed, err := command.Output()
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct{ Module *module }
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Main {
			continue // of the standard library, or ours
		}
		m := *p.Module
		if m.Replace != nil {
			m.Dir = m.Replace.Dir
		}
		held[m.name()] = m
	}
}

// licences are the texts of a module's licences and notices, at least one.
func licences(m module) ([]string, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name(), err)
	}
	var texts []string
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		wanted := slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"}, func(start string) bool {
			return strings.HasPrefix(name, start)
		})
		if !wanted || !entry.Type().IsRegular() || strings.HasSuffix(name, ".GO") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s: no licence in %s", m.name(), m.Dir)
	}
	return texts, nil
}

func write(out io.Writer, packages, texts []string, holders map[string][]string) error {
	rule := strings.Repeat("=", 78)
	var page strings.Builder
	fmt.Fprintf(&page, "Licences of the modules that the binaries of this project hold.\nGenerated: go run ./hack/notices %s\n", strings.Join(packages, " "))
	for _, text := range texts {
		fmt.Fprintf(&page, "\n%s\n%s\n%s\n\n%s\n", rule, strings.Join(holders[text], "\n"), rule, text)
	}
	_, err := io.WriteString(out, page.String())
	return err
}
