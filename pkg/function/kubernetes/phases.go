package kubernetes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/function"
)

// scratchFolder is the phases' folder for temporary files, which is theirs alone.
const scratchFolder = "/tmp/private"

// initContainers are preparation, which any image with a shell does, and the
// steps.
func initContainers(f *function.Function) []Object {
	steps := f.Steps()
	script := "mkdir -m 700 -p " + scratchFolder + " && cp -RL " + sourcePath + "/" + sourceName + "/. " + function.VolumePath + "/ && chmod -R u+w " + function.VolumePath + "/*"
	for _, file := range f.Volume() {
		if file.Link != "" {
			script += " && ln -s " + quoted(file.Link) + " " + quoted(function.VolumePath+"/"+file.Name)
		}
	}
	preparation := phase(f, "prepare", function.Step{References: preparer(f), Command: []string{"sh", "-c", script}, WorkingDir: function.VolumePath})
	preparation["volumeMounts"] = append(preparation["volumeMounts"].([]Object), Object{"name": sourceName, "mountPath": sourcePath, "readOnly": true})
	all := []Object{preparation}
	for _, step := range steps {
		name := map[bool]string{true: "install", false: "compile"}[step.Phase == "installation"]
		if !slices.ContainsFunc(step.Env, func(v function.Variable) bool { return v.Name == "TMPDIR" }) {
			step.Env = append(step.Env, function.Variable{Name: "TMPDIR", Value: scratchFolder})
		}
		all = append(all, phase(f, name, step))
	}
	return all
}

// phase is the container of a phase. Its /tmp is on disk: compilers fill it.
func phase(f *function.Function, name string, step function.Step) Object {
	c := container(f, name, step)
	c["volumeMounts"] = []Object{{"name": volumeName, "mountPath": function.VolumePath}, {"name": scratchName, "mountPath": "/tmp"}}
	return c
}

// preparer is an image of the runtime that has a shell: those that run commands
// do.
func preparer(f *function.Function) []string {
	phases := slices.Clone(f.Runtime.Phases)
	slices.SortStableFunc(phases, func(a, b function.Phase) int { return -cmp.Compare(len(a.Command), len(b.Command)) })
	return phases[0].References
}

// quoted is a word for a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
