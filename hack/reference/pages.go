package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const generated = "<!-- Generated from the command itself: make reference writes it. -->\n\n"

// pages are the Markdown pages of a command and of those below it, by name.
func pages(root *cobra.Command) map[string][]byte {
	files := map[string][]byte{}
	var index bytes.Buffer
	fmt.Fprintf(&index, "%s# Commands\n\n%s\n| command | does |\n|---|---|\n", generated, prose(root.Long))
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		name := strings.ReplaceAll(strings.TrimPrefix(cmd.CommandPath(), root.Name()+" "), " ", "-") + ".md"
		fmt.Fprintf(&index, "| [`%s`](%s) | %s |\n", cmd.Name(), name, cell(cmd.Short))
		files[name] = page(cmd)
	}
	fmt.Fprintf(&index, "| `completion` | Print completion for bash, zsh, fish or PowerShell |\n\n## Flags of all commands\n\n")
	flagTable(&index, root.PersistentFlags())
	files["README.md"] = index.Bytes()
	return files
}

// page is that of one command, with those below it.
func page(cmd *cobra.Command) []byte {
	var out bytes.Buffer
	out.WriteString(generated)
	section(&out, cmd, "#")
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			out.WriteString("\n")
			section(&out, sub, "##")
		}
	}
	out.WriteString("\n[Flags of all commands](README.md#flags-of-all-commands) hold here, too.\n")
	return out.Bytes()
}

func section(out *bytes.Buffer, cmd *cobra.Command, heading string) {
	fmt.Fprintf(out, "%s %s\n\n%s.\n\n", heading, cmd.CommandPath(), cmd.Short)
	if cmd.Runnable() {
		fmt.Fprintf(out, "```text\n%s\n```\n", cmd.UseLine())
	}
	if cmd.Long != "" {
		fmt.Fprintf(out, "\n%s", prose(cmd.Long))
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "\n```sh\n%s\n```\n", dedent(cmd.Example))
	}
	if cmd.LocalNonPersistentFlags().HasAvailableFlags() {
		out.WriteString("\n")
		flagTable(out, cmd.LocalNonPersistentFlags())
	}
	if cmd.HasParent() && cmd.PersistentFlags().HasAvailableFlags() {
		fmt.Fprintf(out, "\nAll commands below take\n\n")
		flagTable(out, cmd.PersistentFlags())
	}
}

func flagTable(out *bytes.Buffer, flags *pflag.FlagSet) {
	out.WriteString("| flag | does |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		variable, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if variable != "" {
			name += " " + variable
		}
		if byDefault(f) {
			usage += fmt.Sprintf(" (default `%s`)", f.DefValue)
		}
		fmt.Fprintf(out, "| `%s` | %s |\n", cell(name), cell(usage))
	})
}

// byDefault tells whether a flag's default is worth saying.
func byDefault(f *pflag.Flag) bool {
	switch f.DefValue {
	case "", "false", "0", "[]":
		return false
	}
	return !strings.Contains(f.Usage, "(default ")
}

// cell is text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// prose is a command's description, in which indented lines are shown as they
// are.
func prose(text string) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != inside && strings.TrimSpace(line) != "" {
			out.WriteString("```")
			if indented {
				out.WriteString("text")
			}
			out.WriteString("\n")
			inside = indented
		}
		if inside {
			line = strings.TrimPrefix(line, "  ")
		}
		out.WriteString(line)
	}
	if inside {
		out.WriteString("```\n")
	}
	return out.String()
}

func dedent(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
	}
	return strings.Join(lines, "\n")
}
