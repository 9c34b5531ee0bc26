package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/discover"
)

// listedImage is one image of one phase, as list prints it.
type listedImage struct {
	Runtime    string          `json:"runtime"`
	Version    string          `json:"version"`
	Phase      string          `json:"phase"`
	Image      string          `json:"image"`
	Pinned     bool            `json:"pinned"`
	Origin     discover.Origin `json:"origin"`
	Target     string          `json:"target,omitempty"`
	Dockerfile string          `json:"dockerfile,omitempty"`
	File       string          `json:"file"`
	Line       int             `json:"line,omitempty"`
	EOL        string          `json:"eol,omitempty"` // the version's end of life, YYYY-MM-DD
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [NAME...]",
		Short: "List runtimes, versions, phases, images and the Dockerfiles that make them",
		Long: `List every image that the manifests name, and where it comes from:

  built      a Dockerfile of this tree makes it
  kept       its Dockerfile is gone; it stays as it is pinned
  external   it is somebody else's
  undecided  more than one Dockerfile or image fits; rtbuild check says why
  missing    no digest and no Dockerfile

EOL is the last day on which the version's makers support it, where the manifest
says so (eol:: 'YYYY-MM-DD' beside the version).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(_ context.Context, s *session) error {
				images, err := s.list(args)
				if err != nil {
					return err
				}
				return a.print(notNil(images), func(out io.Writer) error { return listTable(out, images) })
			})
		},
	}
}

func (s *session) list(names []string) ([]listedImage, error) {
	selected, err := s.project.Discovery.Find(names)
	if err != nil {
		return nil, err
	}
	eol := map[[2]string]string{}
	for _, r := range s.project.Tree.Runtimes {
		for _, v := range r.Versions {
			if !v.EOL.IsZero() {
				eol[[2]string{r.ID, v.Version}] = v.EOL.Format(time.DateOnly)
			}
		}
	}
	var images []listedImage
	for _, u := range selected.Usages {
		image := listedImage{
			Runtime: u.Runtime, Version: u.Version, Phase: string(u.Phase), Image: u.Ref.String(),
			Pinned: u.Ref.Digest != "", Origin: u.Origin, Target: u.Target,
			File: s.app.Relative(u.Image.Position.File), Line: u.Image.Position.Line,
			EOL: eol[[2]string{u.Runtime, u.Version}],
		}
		if target := s.project.Discovery.TargetOf(u.Pointer); target != nil {
			image.Dockerfile = target.Dockerfile
		}
		images = append(images, image)
	}
	return images, nil
}

func listTable(out io.Writer, images []listedImage) error {
	var rows [][]string
	for _, image := range images {
		from := image.Dockerfile
		if from == "" {
			from = "(" + string(image.Origin) + ")"
		}
		pinned := "-"
		if image.Pinned {
			pinned = "pinned"
		}
		rows = append(rows, []string{image.Runtime, image.Version, image.Phase, pinned, dash(image.EOL), from, image.Image})
	}
	return table(out, []string{"RUNTIME", "VERSION", "PHASE", "PINNED", "EOL", "DOCKERFILE", "IMAGE"}, rows)
}
