package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// A format prints a result. Every command gives both forms and the format
// takes one.
type format interface {
	print(out io.Writer, value any, text func(io.Writer) error) error
	configMap(c *configmap.ConfigMap) ([]byte, error)
}

// formatNamed is the format of a name; the command has more forms of text than the
// plain one.
func formatNamed(name string, more []string) (format, error) {
	switch listed := slices.Contains(more, name); {
	case listed && name == "yaml":
		return yamlFormat{}, nil
	case listed:
		return textFormat{}, nil
	}
	switch name {
	case "text":
		return textFormat{}, nil
	case "json":
		return jsonFormat{}, nil
	}
	names := append([]string{"text", "json"}, more...)
	last := len(names) - 1
	return nil, invocation.Usagef("--output %s: want %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

// moreFormats is the annotation of a command that prints its result in other forms,
// too, its text or yaml: their names with spaces between them.
const moreFormats = "formats"

type textFormat struct{}

func (textFormat) print(out io.Writer, _ any, text func(io.Writer) error) error { return text(out) }

type jsonFormat struct{}

func (jsonFormat) print(out io.Writer, value any, _ func(io.Writer) error) error {
	return report.WriteJSON(out, value)
}

type yamlFormat struct{}

func (yamlFormat) print(out io.Writer, value any, _ func(io.Writer) error) error {
	return writeYAML(out, []any{value})
}

// writeYAML prints values as documents of YAML, with the names that their JSON has.
func writeYAML[T any](out io.Writer, values []T) error {
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	for _, value := range values {
		encoded, err := json.Marshal(value)
		if err != nil {
			return err
		}
		var plain any
		if err := yaml.Unmarshal(encoded, &plain); err != nil {
			return err
		}
		if err := encoder.Encode(plain); err != nil {
			return err
		}
	}
	return encoder.Close()
}

// print prints a command's result on stdout.
func (a *app) print(value any, text func(io.Writer) error) error {
	if err := a.format.print(a.Streams.Out, value, text); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}

// table prints rows in columns, without spaces at the ends of lines.
func table(out io.Writer, header []string, rows [][]string) error {
	var aligned bytes.Buffer
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// shortDigest is enough of a digest for people to tell two apart.
func shortDigest(digest string) string {
	if len(digest) > len("sha256:")+12 {
		return digest[:len("sha256:")+12]
	}
	return digest
}

// notNil makes an empty list of none, so that JSON says [] and not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (textFormat) configMap(c *configmap.ConfigMap) ([]byte, error) { return c.YAML() }

func (jsonFormat) configMap(c *configmap.ConfigMap) ([]byte, error) { return c.JSON() }

func (yamlFormat) configMap(c *configmap.ConfigMap) ([]byte, error) { return c.YAML() }
