// Package strictyaml decodes settings files: one document, known keys alone,
// and errors that say where.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Decode decodes source, the content of the file path, into a struct. An empty
// source changes nothing. An unknown key, a wrong type and a second document
// are errors, all of them, each with file:line; keys says where known keys are
// listed.
func Decode(path string, source []byte, into any, keys string) error {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return located(path, err, keys)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: holds a second document; one is read", path)
	}
	return nil
}

// located turns yaml's "line 3: field x not found in type config.Config" into
// "path:3: unknown key x", one line for each.
func located(path string, err error, keys string) error {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	errs := make([]error, 0, len(typeError.Errors))
	for _, text := range typeError.Errors {
		var line int
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			text = text[strings.Index(text, ": ")+2:]
		}
		if rest, ok := strings.CutPrefix(text, "field "); ok {
			if key, _, ok := strings.Cut(rest, " not found in type "); ok {
				text = fmt.Sprintf("unknown key %q; %s lists the keys", key, keys)
			}
		}
		errs = append(errs, fmt.Errorf("%s:%d: %s", path, line, text))
	}
	return errors.Join(errs...)
}
