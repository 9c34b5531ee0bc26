package launcher

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/rtbuild/rtbuild/internal/version"
)

// wholeName is the file name of the whole program, which lies beside this one.
const wholeName = "rtbuild-full"

// whole is the whole program.
type whole struct {
	path string
	// err tells why it cannot be used, and missing that it is not there at all.
	err     error
	missing bool
}

// findWhole finds the whole program beside this one, wherever a symbolic link to this
// one lies. The two must be of one build: else one rtbuild would answer for another.
func findWhole() whole {
	own, err := os.Executable()
	if err == nil {
		own, err = filepath.EvalSymlinks(own)
	}
	if err != nil {
		return whole{err: fmt.Errorf("finding this program's own place: %w", err)}
	}
	path := filepath.Join(filepath.Dir(own), wholeName)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	info, err := buildinfo.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return whole{missing: true, err: fmt.Errorf("%s is missing: %s is only the part of rtbuild that prints the ConfigMap and the version, and has the rest beside itself; install both files of a release, or rtbuild-full alone under the name rtbuild", path, own)}
	}
	if err != nil {
		return whole{err: fmt.Errorf("%s cannot be read as a program: %w; install both files of a release again", path, err)}
	}
	return whole{path: path, err: compare(own, path, info)}
}

// compare tells whether the program at path, with that build information, is the
// whole of this one.
func compare(own, path string, info *debug.BuildInfo) error {
	this, ok := debug.ReadBuildInfo()
	if ok && info.Path == this.Path {
		return fmt.Errorf("%s is the same program as %s, and not the whole rtbuild: install both files of a release again", path, own)
	}
	if have, want := version.Of(info), version.Of(this); have != want {
		return fmt.Errorf("%s is %s, and %s is %s: install both files of one release", own, want, path, have)
	}
	return nil
}
