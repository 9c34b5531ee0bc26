// Command reference writes what is generated from the commands themselves: their
// pages in docs/reference, and for packages manual pages and shell completion.
//
//	go run ./hack/reference                                docs/reference
//	go run ./hack/reference --man DIR --completion DIR     these instead
//
// The date of manual pages is SOURCE_DATE_EPOCH's.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/rtbuild/rtbuild/internal/cli"
)

func main() {
	man := flag.String("man", "", "write manual pages to `DIR`")
	completion := flag.String("completion", "", "write shell completion to `DIR`")
	flag.Parse()
	if err := run(*man, *completion); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(man, completion string) error {
	root := cli.Command()
	var errs []error
	if man == "" && completion == "" {
		errs = append(errs, write("docs/reference", pages(root)))
	}
	if man != "" {
		errs = append(errs, manuals(root, man))
	}
	if completion != "" {
		errs = append(errs, completions(root, completion))
	}
	return errors.Join(errs...)
}

// write makes the files of a folder, by name, and removes other pages there.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	present, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range present {
		if files[filepath.Base(path)] == nil {
			errs = append(errs, os.Remove(path))
		}
	}
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	return errors.Join(errs...)
}

func manuals(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root.DisableAutoGenTag = true
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "rtbuild", Manual: "rtbuild"}, dir)
}

func completions(root *cobra.Command, dir string) error {
	files := map[string][]byte{}
	for name, generate := range map[string]func(*bytes.Buffer) error{
		"rtbuild.bash": func(out *bytes.Buffer) error { return root.GenBashCompletionV2(out, true) },
		"rtbuild.zsh":  func(out *bytes.Buffer) error { return root.GenZshCompletion(out) },
		"rtbuild.fish": func(out *bytes.Buffer) error { return root.GenFishCompletion(out, true) },
	} {
		var out bytes.Buffer
		if err := generate(&out); err != nil {
			return err
		}
		files[name] = out.Bytes()
	}
	return write(dir, files)
}
