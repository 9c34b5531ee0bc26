package manifest

import (
	"regexp"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/nearest"
)

// What the controller can match in what a user types (its regular
// expressions for the ID and the version), and what can be a ConfigMap's key.
var (
	idPattern      = regexp.MustCompile(`^[a-zA-Z_-]+$`)
	versionPattern = regexp.MustCompile(`^[0-9.]+$`)
	keyPattern     = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
)

// validate checks what the values mean; the decoder has checked their types.
func (d *decoding) validate() {
	seen := map[string]bool{}
	for i := range d.tree.Runtimes {
		r := &d.tree.Runtimes[i]
		switch {
		case r.ID == "":
		case !idPattern.MatchString(r.ID):
			d.errorf(RuleID, r.pointer+"/ID", r.ID, "no function can be deployed with the ID %q: the controller takes letters, - and _ only", r.ID)
		case seen[r.ID]:
			d.errorf(RuleID, r.pointer+"/ID", r.ID, "the ID %q is declared twice; the controller only finds the first", r.ID)
		}
		seen[r.ID] = true
		d.validateNames(r)
		d.validateVersions(r)
	}
}

func (d *decoding) validateNames(r *Runtime) {
	if r.DepName != "" && !keyPattern.MatchString(r.DepName) {
		d.errorf(RuleDepName, r.pointer+"/depName", r.ID, "depName %q cannot be a ConfigMap's key: letters, digits, -, _ and . only", r.DepName)
	}
	if r.DepName == "handler" {
		d.errorf(RuleDepName, r.pointer+"/depName", r.ID, "depName %q is taken: the controller stores the handler's name under that key", r.DepName)
	}
	if r.FileNameSuffix != "" && !strings.HasPrefix(r.FileNameSuffix, ".") {
		d.warnf(RuleFileNameSuffix, r.pointer+"/fileNameSuffix", r.ID, "fileNameSuffix %q is appended to the module's name as it is; did you mean %q?", r.FileNameSuffix, "."+r.FileNameSuffix)
	}
}

func (d *decoding) validateVersions(r *Runtime) {
	names, versions := map[string]bool{}, map[string]bool{}
	for i := range r.Versions {
		v := &r.Versions[i]
		subject := strings.TrimSpace(r.ID + " " + v.Version)
		if v.Version != "" && !versionPattern.MatchString(v.Version) {
			d.errorf(RuleVersion, v.pointer+"/version", subject, "no function can be deployed with the version %q: the controller takes digits and dots only", v.Version)
		}
		if v.Version != "" && versions[v.Version] {
			d.errorf(RuleVersion, v.pointer+"/version", subject, "the version %q is declared twice; the controller only finds the first", v.Version)
		}
		if v.Name != "" && names[v.Name] {
			d.errorf(RuleName, v.pointer+"/name", subject, "the name %q is declared twice in %s", v.Name, r.ID)
		}
		names[v.Name], versions[v.Version] = true, true
		d.validatePhases(v, subject)
	}
}

func (d *decoding) validatePhases(v *Version, subject string) {
	phases := map[Phase]bool{}
	unclear := false // which phase an image is of, and that is said
	for _, image := range v.Images {
		pointer := image.pointer
		switch image.Phase {
		case "":
			unclear = true
		case Installation, Compilation, RuntimePhase:
			if phases[image.Phase] {
				d.errorf(RulePhase, pointer+"/phase", subject, "the phase %q is declared twice; the controller only finds the first", image.Phase)
			}
		default:
			unclear = true
			near := nearest.Question(string(image.Phase), []string{string(Installation), string(Compilation), string(RuntimePhase)})
			if near == "" {
				near = "; the phases are installation, compilation and runtime"
			}
			d.errorf(RulePhase, pointer+"/phase", subject, "unknown phase %q%s", image.Phase, near)
		}
		phases[image.Phase] = true
		d.validateCommand(image, pointer, subject)
	}
	if len(v.Images) > 0 && !phases[RuntimePhase] && !unclear {
		d.errorf(RuleNoRuntimePhase, v.pointer+"/images", subject, "has no image of the phase runtime: functions would be deployed without an image")
	}
}

func (d *decoding) validateCommand(image Image, pointer, subject string) {
	subject += " " + string(image.Phase)
	switch {
	case image.Phase == RuntimePhase && image.Command != "":
		d.warnf(RuleCommand, pointer+"/command", subject, "command is never run: the runtime phase runs the image's own")
	case image.Phase == Installation && strings.TrimSpace(image.Command) == "" && !image.commandUnclear:
		d.warnf(RuleCommand, pointer, subject, "command is empty: the controller then runs a line that the shell refuses (it ends in &&)")
	}
}
