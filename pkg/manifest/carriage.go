package manifest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// withCarriageReturns are the strings of a document, keys aside, that have carriage
// returns.
func withCarriageReturns(document []byte) ([]provenance.String, error) {
	if !bytes.Contains(document, []byte(`\r`)) {
		return nil, nil // as Jsonnet prints them, and most documents have none
	}
	tokens, err := provenance.Strings(document)
	return slices.DeleteFunc(tokens, func(s provenance.String) bool { return s.Key || !strings.Contains(s.Value, "\r") }), err
}

// carriageReturns warns of strings with carriage returns: they mostly come from
// files with CRLF line endings, and a shell takes them for part of the line.
func (d *decoding) carriageReturns(found []provenance.String, source provenance.Result) {
	for _, s := range found {
		field := s.Pointer[strings.LastIndexByte(s.Pointer, '/')+1:]
		message := fmt.Sprintf("%s has carriage returns (\\r), and so has the ConfigMap", field)
		if from := endsInCRLF(source, s.Value); from != "" {
			message += fmt.Sprintf("; they are those of %s, whose lines end in CRLF: save it with LF, and have git keep it so (.gitattributes: * text=auto eol=lf)", from)
		}
		d.warnf(RuleCarriageReturn, s.Pointer, d.subject(s.Pointer), "%s", message)
	}
}

// endsInCRLF is the place ("FILE:LINE") of the first line that ends in CRLF in
// the file that a string with carriage returns is made of, as far as that shows;
// "" if it does not.
func endsInCRLF(source provenance.Result, value string) string {
	for _, path := range slices.Sorted(maps.Keys(source.Files)) {
		content := source.Files[path]
		first := bytes.Index(content, []byte("\r\n"))
		text := bytes.TrimSpace(content)
		if first < 0 || source.Imported()[path] || len(text) == 0 || !strings.Contains(value, string(text)) {
			continue
		}
		return fmt.Sprintf("%s:%d", path, 1+bytes.Count(content[:first], []byte("\n")))
	}
	return ""
}

// subject names what a place in the document belongs to: "python 3.13
// installation", or as much of that as there is.
func (d *decoding) subject(pointer string) string {
	within := func(outer string) bool { return strings.HasPrefix(pointer, outer+"/") }
	for _, r := range d.tree.Runtimes {
		if !within(r.pointer) {
			continue
		}
		for _, v := range r.Versions {
			if !within(v.pointer) {
				continue
			}
			for _, image := range v.Images {
				if within(image.pointer) {
					return strings.Join([]string{r.ID, v.Version, string(image.Phase)}, " ")
				}
			}
			return strings.TrimSpace(r.ID + " " + v.Version)
		}
		return r.ID
	}
	return ""
}
