// Package version tells which rtbuild this is, by what the Go tool recorded.
package version

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"time"
)

// An Info is which rtbuild this is.
type Info struct {
	// Version is a release's tag, a pseudo-version of a commit, or "devel".
	Version string `json:"version"`
	// Revision is the commit, as far as the Go tool recorded it: all of it, or its
	// first 12 digits; Date is the commit's, RFC 3339. Both may be empty.
	Revision string `json:"revision"`
	Date     string `json:"date"`
	// Modified tells that it was built from a tree with uncommitted changes.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// String is the version for people, on one line.
func (v Info) String() string {
	commit := ""
	if v.Revision != "" {
		commit = " (" + v.Revision[:min(12, len(v.Revision))]
		if v.Date != "" {
			commit += " of " + v.Date[:len("2006-01-02")]
		}
		commit += ")"
	}
	return fmt.Sprintf("rtbuild %s%s %s %s", v.Version, commit, v.Go, v.Platform)
}

// Print prints the version for people.
func (v Info) Print(out io.Writer) error {
	_, err := fmt.Fprintln(out, v)
	return err
}

// This is the running program's.
func This() Info {
	info, _ := debug.ReadBuildInfo()
	return Of(info)
}

// pseudoVersion matches the end of a version that stands for a commit without a
// tag: its time and the start of its id.
var pseudoVersion = regexp.MustCompile(`[.-](\d{14})-([0-9a-f]{12})(?:\+|$)`)

// Of is what the Go tool recorded of a build; nil: nothing.
func Of(info *debug.BuildInfo) Info {
	v := Info{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return v
	}
	if info.GoVersion != "" {
		v.Go = info.GoVersion
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.time":
			v.Date = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	// go install PATH@VERSION records the version alone.
	if pseudo := pseudoVersion.FindStringSubmatch(v.Version); pseudo != nil && v.Revision == "" {
		v.Revision = pseudo[2]
		if date, err := time.Parse("20060102150405", pseudo[1]); err == nil {
			v.Date = date.Format(time.RFC3339)
		}
	}
	return v
}
