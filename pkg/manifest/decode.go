package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// decoding turns the evaluated document into runtimes. It goes on past
// whatever is wrong and notes it.
type decoding struct {
	tree    *Tree
	origins origins
	hidden  [][]hiddenVersion
	folders []string
	known   map[Object][]Field // what fieldsOf says, once asked
}

// document reads and checks the list of runtimes.
func (d *decoding) document(list []any) {
	for i, item := range list {
		d.runtime(fmt.Sprintf("/%d", i), item)
	}
	d.validate()
}

func (d *decoding) report(severity Severity, rule Rule, pointer, subject, format string, args ...any) {
	d.tree.Findings = append(d.tree.Findings, Finding{
		Severity: severity,
		Rule:     rule,
		Position: d.origins.at(pointer),
		Subject:  subject,
		Message:  fmt.Sprintf(format, args...),
		runtime:  runtimePointer(pointer),
	})
}

// runtimePointer is the runtime's part of a pointer: "/0" of "/0/versions/1".
func runtimePointer(pointer string) string {
	if end := strings.IndexByte(strings.TrimPrefix(pointer, "/"), '/'); end >= 0 {
		return pointer[:end+1]
	}
	return pointer
}

func (d *decoding) errorf(rule Rule, pointer, subject, format string, args ...any) {
	d.report(SeverityError, rule, pointer, subject, format, args...)
}

func (d *decoding) warnf(rule Rule, pointer, subject, format string, args ...any) {
	d.report(SeverityWarning, rule, pointer, subject, format, args...)
}

func (d *decoding) runtime(pointer string, value any) {
	subject := "runtime " + strings.TrimPrefix(pointer, "/")
	fields, ok := d.object(pointer, subject, value, ObjectRuntime)
	if !ok {
		return
	}
	r := Runtime{pointer: pointer, ID: d.text(fields["ID"], subject, "ID", required)}
	if r.ID != "" {
		subject = r.ID
	}
	r.DepName = d.text(fields["depName"], subject, "depName", optional)
	r.FileNameSuffix = d.text(fields["fileNameSuffix"], subject, "fileNameSuffix", optional)
	r.File, r.Folder = d.home(pointer)
	r.Stability, _, _ = strings.Cut(r.Folder, "/")
	if probe := fields["livenessProbeInfo"]; probe.value != nil {
		if _, ok := probe.value.(map[string]any); !ok {
			d.errorf(RuleWrongType, probe.pointer, subject, "livenessProbeInfo is %s, want an object: a Kubernetes probe", kindOf(probe.value))
		} else if strings.ContainsAny(r.ID, "_-") {
			d.warnf(RuleLivenessProbe, probe.pointer, subject, "livenessProbeInfo is never used: the controller looks probes up by the letters before the first - or _ of an ID")
		}
	}
	for i, item := range d.list(fields["versions"], subject, "versions", required) {
		d.version(&r, fmt.Sprintf("%s/%d", fields["versions"].pointer, i), subject, item)
	}
	d.tree.Runtimes = append(d.tree.Runtimes, r)
}

func (d *decoding) version(r *Runtime, pointer, subject string, value any) {
	fields, ok := d.object(pointer, subject+" version "+pointer[strings.LastIndexByte(pointer, '/')+1:], value, ObjectVersion)
	if !ok {
		return
	}
	v := Version{pointer: pointer, position: d.origins.at(fields["version"].pointer)}
	v.Version = d.text(fields["version"], subject, "version", required)
	subject = strings.TrimSpace(subject + " " + v.Version)
	v.Name = d.text(fields["name"], subject, "name", required)
	v.EOL = d.eol(pointer, subject)
	d.secrets(fields["imagePullSecrets"], subject, "imagePullSecrets", ObjectPullSecret)
	for i, item := range d.list(fields["images"], subject, "images", required) {
		d.image(&v, fmt.Sprintf("%s/%d", fields["images"].pointer, i), subject, item)
	}
	r.Versions = append(r.Versions, v)
}

func (d *decoding) image(v *Version, pointer, subject string, value any) {
	fields, ok := d.object(pointer, subject, value, ObjectImage)
	if !ok {
		return
	}
	image := Image{pointer: pointer, Pointer: fields["image"].pointer, Position: d.origins.at(fields["image"].pointer)}
	image.Phase = Phase(d.text(fields["phase"], subject, "phase", required))
	subject = strings.TrimSpace(subject + " " + string(image.Phase))
	if text := d.text(fields["image"], subject, "image", required); text != "" {
		ref, err := reference.Parse(text)
		if err != nil {
			d.errorf(RuleImageReference, fields["image"].pointer, subject, "%v", err)
		}
		image.Ref = ref
	}
	image.Command = d.text(fields["command"], subject, "command", optional)
	_, isText := fields["command"].value.(string)
	image.commandUnclear = fields["command"].misspelt || fields["command"].value != nil && !isText
	image.Env = d.env(fields["env"], subject)
	d.secrets(fields["secrets"], subject, "secrets", ObjectSecret)
	if len(fields["secrets"].list()) > 0 && image.Phase == RuntimePhase {
		d.warnf(RuleSecrets, fields["secrets"].pointer, subject, "secrets are never mounted in the runtime phase")
	}
	image.Build = d.buildSpec(pointer, subject)
	v.Images = append(v.Images, image)
}

// buildSpec finds the hidden field of the image at pointer:
// /runtime/versions/version/images/image.
func (d *decoding) buildSpec(pointer, subject string) *BuildSpec {
	index, err := strconv.Atoi(pointer[strings.LastIndexByte(pointer, '/')+1:])
	images := d.hiddenOf(pointer).Images
	if err != nil || index >= len(images) || len(images[index]) == 0 {
		return nil
	}
	field := images[index]
	if bytes.Equal(field[0], []byte("null")) {
		return &BuildSpec{External: true}
	}
	var raw struct {
		Dockerfile string            `json:"dockerfile"`
		Context    string            `json:"context"`
		Args       map[string]string `json:"args"`
		Target     string            `json:"target"`
	}
	decoder := json.NewDecoder(bytes.NewReader(field[0]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&raw); err != nil {
		d.errorf(RuleBuildField, pointer, subject, "build: %s; it takes the strings dockerfile, context and target, and the object of strings args", buildProblem(err))
		return nil
	}
	spec := &BuildSpec{Dockerfile: raw.Dockerfile, Context: raw.Context, Args: raw.Args, Target: raw.Target}
	for what, path := range map[string]string{"dockerfile": spec.Dockerfile, "context": spec.Context} {
		if filepath.IsAbs(path) {
			d.errorf(RuleBuildField, pointer, subject, "build: %s %q is an absolute path; write it relative to the runtime folder", what, path)
		}
	}
	return spec
}

// hiddenOf are the hidden fields of the version that a pointer leads to or into:
// /runtime/versions/version/… The lookup goes by exact field names; a document that
// spells "Versions" has none.
func (d *decoding) hiddenOf(pointer string) hiddenVersion {
	parts := strings.Split(pointer, "/")
	r, err := strconv.Atoi(parts[1])
	if err != nil || r >= len(d.hidden) {
		return hiddenVersion{}
	}
	v, err := strconv.Atoi(parts[3])
	if err != nil || v >= len(d.hidden[r]) {
		return hiddenVersion{}
	}
	return d.hidden[r][v]
}

// eol reads the hidden field of the version at pointer.
func (d *decoding) eol(pointer, subject string) time.Time {
	raw := d.hiddenOf(pointer).EOL
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return time.Time{}
	}
	var text string
	day, err := time.Time{}, json.Unmarshal(raw, &text)
	if err == nil {
		day, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		d.errorf(RuleEOL, pointer, subject, "eol: %s is not a date; write the last day of its support as eol:: '2026-04-30'", raw)
	}
	return day
}

func buildProblem(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return "it is a " + wrong.Value + ", not an object"
		}
		return fmt.Sprintf("%s is a %s", wrong.Field, wrong.Value)
	}
	if errors.Is(err, io.EOF) {
		return "it is empty"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// home finds the file that declares the runtime at pointer and the runtime
// folder it lies in. The declaring file is the first that lies in a runtime
// folder among those that the runtime's strings come from, its ID's first.
func (d *decoding) home(pointer string) (file, folder string) {
	files := d.origins.files(pointer)
	for _, f := range files {
		if folder := RuntimeFolder(d.tree.Root, d.folders, f); folder != "" {
			return f, folder
		}
	}
	if len(files) > 0 {
		return files[0], ""
	}
	return d.tree.Entry, ""
}

// RuntimeFolder is the runtime folder under root that holds file ("stable/go"
// for ROOT/stable/go/go.jsonnet), or empty if it lies in none of the folders.
func RuntimeFolder(root string, folders []string, file string) string {
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return ""
	}
	rel = filepath.ToSlash(rel)
	for _, folder := range folders {
		folder = strings.Trim(filepath.ToSlash(filepath.Clean(folder)), "/")
		rest, ok := strings.CutPrefix(rel, folder+"/")
		if !ok {
			continue
		}
		if name, _, inside := strings.Cut(rest, "/"); inside {
			return folder + "/" + name
		}
	}
	return ""
}
