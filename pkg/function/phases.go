package function

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// What the controller gives every function.
const (
	// VolumePath is where the function's volume is mounted.
	VolumePath = "/kubeless"
	// User runs every container, Group is the fsGroup of volumes.
	User  = 1000
	Group = 1000
	// noMemoryLimit is FUNC_MEMORY_LIMIT where there is none.
	noMemoryLimit = "0"
)

// A Step is one container in the life of a function.
type Step struct {
	Phase manifest.Phase
	// References are where the image is looked for: the first that the target
	// has, else the last one.
	References []string
	// Command replaces the image's entry point; empty keeps it.
	Command []string
	// WorkingDir replaces the image's; empty keeps it.
	WorkingDir string
	// Env is the environment, each name once and nothing left to expand.
	Env []Variable
	// Manifest is the phase's command as the manifest has it.
	Manifest string
}

// Volume is what preparation leaves in the function's volume: the source, a
// single file under the name that the handler says, and the dependency file,
// which the controller writes without dependencies, too.
func (f *Function) Volume() []File {
	files := slices.Clone(f.Source.Files)
	if !f.Source.Bundle {
		module, _, err := splitHandler(f.Handler)
		if err == nil && len(files) == 1 {
			files[0].Name = module + f.Runtime.FileNameSuffix
		}
	}
	if name := f.Runtime.DepName; name != "" && (len(f.Dependencies) > 0 || !f.Source.Has(name)) {
		files = slices.DeleteFunc(files, func(file File) bool { return file.Name == name })
		files = append(files, File{Name: name, Content: f.Dependencies})
	}
	return files
}

// Steps are the containers before the runtime phase, in order, as the
// controller has them run.
func (f *Function) Steps() []Step {
	var steps []Step
	if phase := f.Runtime.Phase(manifest.Installation); phase != nil && f.installs() {
		steps = append(steps, f.install(phase))
	}
	if phase := f.Runtime.Phase(manifest.Compilation); phase != nil {
		_, handler, _ := splitHandler(f.Handler)
		env := f.environment()
		env.setLiteral("KUBELESS_INSTALL_VOLUME", VolumePath)
		env.setLiteral("KUBELESS_FUNC_NAME", handler) // MOD_NAME is not known in this phase
		steps = append(steps, step(phase, phase.Command, env))
	}
	return steps
}

// installs tells whether there is something to install.
func (f *Function) installs() bool {
	return len(f.Dependencies) > 0 || f.Source.Bundle && f.Source.Has(f.Runtime.DepName)
}

// install is the installation phase: the checksum of a dependency file that
// came by itself, then the manifest's command.
func (f *Function) install(phase *Phase) Step {
	file := VolumePath + "/" + f.Runtime.DepName
	env := f.environment()
	env.setLiteral("KUBELESS_INSTALL_VOLUME", VolumePath)
	env.setLiteral("KUBELESS_DEPS_FILE", file)
	script := phase.Command
	if len(f.Dependencies) > 0 {
		script = fmt.Sprintf("echo '%x  %s' > /tmp/deps.sha256 && sha256sum -c /tmp/deps.sha256 && %s", sha256.Sum256(f.Dependencies), file, script)
	}
	return step(phase, script, env)
}

func step(phase *Phase, script string, env *environment) Step {
	env.setAll(phase.Env)
	return Step{
		Phase: phase.Phase, References: phase.References, Command: []string{"sh", "-c", expand(script, env.lookUp)},
		WorkingDir: VolumePath, Env: env.variables, Manifest: phase.Command,
	}
}

// Server is the container of the runtime phase.
func (f *Function) Server() Step {
	module, handler, _ := splitHandler(f.Handler)
	phase := f.Runtime.Phase(manifest.RuntimePhase)
	memory := f.Memory
	if memory == "" {
		memory = noMemoryLimit
	}
	env := f.environment()
	for _, v := range []Variable{
		{"FUNC_HANDLER", handler}, {"MOD_NAME", module}, {"FUNC_TIMEOUT", strconv.Itoa(f.Timeout)},
		{"FUNC_RUNTIME", f.Runtime.Name()}, {"FUNC_MEMORY_LIMIT", memory},
		{"FUNC_PORT", strconv.Itoa(f.Port)}, {"KUBELESS_INSTALL_VOLUME", VolumePath},
	} {
		env.setLiteral(v.Name, v.Value)
	}
	env.setAll(phase.Env)
	return Step{Phase: phase.Phase, References: phase.References, Env: env.variables}
}

// environment is the function's own.
func (f *Function) environment() *environment {
	env := &environment{}
	for _, v := range f.Env {
		env.set(v.Name, v.Value)
	}
	return env
}

// Limit is the time of a call.
func (f *Function) Limit() time.Duration { return time.Duration(f.Timeout) * time.Second }
