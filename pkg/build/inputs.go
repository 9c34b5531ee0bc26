package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Labels by which an image says what it was made from. An image without them
// was not made by this tool, or by one too old to say. Engines that can put the
// fingerprint into the image's manifest as well, as an annotation of the same
// name: other than a label, it is not inherited by images built on this one.
const (
	LabelFingerprint = "dev.rtbuild.fingerprint"
	LabelInputs      = "dev.rtbuild.inputs"
)

// inputsVersion changes whenever the same sources would make another image.
const inputsVersion = 5

// Inputs are what an image is made of, as far as it can be known before it is
// built. Values are hashes: an image carries its inputs, and build arguments
// are nobody's business.
type Inputs struct {
	Version   int      `json:"version"`
	Stage     string   `json:"stage,omitempty"`
	Platforms []string `json:"platforms,omitempty"`
	// Instructions are what the Dockerfile comes to for each platform, see
	// dockerfile.Conversion; where an image reads it (# syntax=), its content.
	Instructions map[string]string `json:"instructions,omitempty"`
	// Args and Labels are by name.
	Args   map[string]string `json:"args,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Files are what the Dockerfile reads of its context, by path, for any of
	// the platforms; Reads are the names of those for each of several.
	Files map[string]string `json:"files,omitempty"`
	Reads map[string]string `json:"reads,omitempty"`
	// Bases are the digests of the images that this tree does not build, and
	// Siblings the fingerprints of those that it does, by their names in the
	// Dockerfile.
	Bases    map[string]string `json:"bases,omitempty"`
	Siblings map[string]string `json:"siblings,omitempty"`
}

// Fingerprint is the hash of the inputs, 64 hex digits: two builds with the
// same one make the same image, as far as the Dockerfile allows.
func (in Inputs) Fingerprint() string {
	encoded, err := json.Marshal(in)
	if err != nil {
		panic(fmt.Sprintf("encoding strings and maps of strings: %v", err))
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// maxListedFiles is how many files an image's label names; of larger contexts
// it has a hash for each of the top folders.
const maxListedFiles = 400

// Label is the inputs as an image carries them: hashes cut to 16 digits,
// enough to tell what changed. Nothing is in it that is not in the fingerprint:
// images with one fingerprint would differ by it.
func (in Inputs) Label() string {
	in.Args, in.Labels, in.Files, in.Siblings = cutAll(in.Args), cutAll(in.Labels), cutAll(in.Files), cutAll(in.Siblings)
	in.Instructions, in.Reads = cutAll(in.Instructions), cutAll(in.Reads)
	if len(in.Files) > maxListedFiles {
		grouped := map[string][]string{}
		for _, file := range slices.Sorted(maps.Keys(in.Files)) {
			top, _, inside := strings.Cut(file, "/")
			if inside {
				top += "/"
			}
			grouped[top] = append(grouped[top], file+" "+in.Files[file])
		}
		in.Files = map[string]string{}
		for top, files := range grouped {
			in.Files[top] = cut(hashText(strings.Join(files, "\n")))
		}
	}
	encoded, err := json.Marshal(in)
	if err != nil {
		panic(fmt.Sprintf("encoding strings and maps of strings: %v", err))
	}
	return string(encoded)
}

// ParseInputs reads what Label wrote.
func ParseInputs(label string) (Inputs, error) {
	var in Inputs
	if err := json.Unmarshal([]byte(label), &in); err != nil {
		return Inputs{}, fmt.Errorf("the label %s: %w", LabelInputs, err)
	}
	return in, nil
}

// Changes says what is different in the inputs since others, a line each, in
// the order in which a reader would look. Both are as ParseInputs gives them.
// Folder is the context's path, for naming files.
func (in Inputs) Changes(since Inputs, folder string) []string {
	var changes []string
	note := func(changed bool, format string, args ...any) {
		if changed {
			changes = append(changes, fmt.Sprintf(format, args...))
		}
	}
	note(in.Version != since.Version, "rtbuild makes images in another way since")
	// What arguments and other images make of a Dockerfile is said as their change.
	note(in.does(since) && maps.Equal(in.Args, since.Args) && maps.Equal(in.Bases, since.Bases) && maps.Equal(in.Siblings, since.Siblings), "its Dockerfile changed")
	note(in.Stage != since.Stage, "its target stage changed from %q to %q", since.Stage, in.Stage)
	note(len(since.Platforms) > 0 && !slices.Equal(in.Platforms, since.Platforms), "its platforms changed from %q to %q", since.Platforms, in.Platforms)
	note(len(since.Files) > 0 && grouped(since.Files) != grouped(in.Files), "its context changed")
	compare := func(what func(name string) string, then, now map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(merged(then, now))) {
			before, was := then[name]
			after, is := now[name]
			switch {
			case was && !is:
				changes = append(changes, what(name)+" is gone")
			case !was && is:
				changes = append(changes, what(name)+" is new")
			case before != after:
				changes = append(changes, what(name)+" changed")
			}
		}
	}
	if grouped(since.Files) == grouped(in.Files) {
		compare(func(name string) string { return path.Join(folder, name) }, since.Files, in.Files)
	}
	compare(func(name string) string { return "base image " + name }, since.Bases, in.Bases)
	compare(func(name string) string { return "sibling " + name }, since.Siblings, in.Siblings)
	compare(func(name string) string { return "build argument " + name }, since.Args, in.Args)
	compare(func(name string) string { return "label " + name }, since.Labels, in.Labels)
	note(len(changes) == 0 && !maps.Equal(in.Reads, since.Reads), "which files a platform reads changed")
	return changes
}

// does tells whether the Dockerfile comes to something else for a platform that
// both are for.
func (in Inputs) does(since Inputs) bool {
	for platform, instructions := range in.Instructions {
		if before, ok := since.Instructions[platform]; ok && before != instructions {
			return true
		}
	}
	return false
}

// grouped tells whether files are those of a large context, by folder.
func grouped(files map[string]string) bool {
	for name := range files {
		if strings.HasSuffix(name, "/") {
			return true
		}
	}
	return false
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return all
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func hashValues(values map[string]string) map[string]string {
	hashes := make(map[string]string, len(values))
	for name, value := range values {
		hashes[name] = hashText(value)
	}
	return hashes
}

func cut(hash string) string { return hash[:min(16, len(hash))] }

func cutAll(hashes map[string]string) map[string]string {
	short := make(map[string]string, len(hashes))
	for name, hash := range hashes {
		short[name] = cut(hash)
	}
	return short
}

// inputs are a step's, except for what its Dockerfile comes to, its files and
// the images that it is built from.
func (s Step) inputs(labels map[string]string, platforms []string) Inputs {
	return Inputs{
		Version:      inputsVersion,
		Stage:        s.Stage,
		Platforms:    platforms,
		Instructions: map[string]string{},
		Args:         hashValues(s.Args),
		Labels:       hashValues(labels),
		Reads:        map[string]string{},
		Bases:        map[string]string{},
		Siblings:     map[string]string{},
	}
}
