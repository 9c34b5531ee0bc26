package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// subjects are the versions that names select in the tree at root, "python" or
// "python:3.13"; no names select all runtimes. A runtime means its newest
// version. Images are those of the manifests' tags, at registry if it is set.
func subjects(ctx context.Context, root, registry string, names []string) ([]contract.Subject, error) {
	if err := reference.CheckRegistry(registry); registry != "" && err != nil {
		return nil, err
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	tree, err := manifest.Load(ctx, jsonnet.New(), manifest.Options{Root: root})
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, r := range tree.Runtimes {
			names = append(names, r.ID)
		}
	}
	var found []contract.Subject
	for _, name := range names {
		r, v, err := find(tree.Runtimes, name)
		if err != nil {
			return nil, err
		}
		found = append(found, contract.NewSubject(root, r, v, func(image manifest.Image) []string {
			return []string{image.Ref.Relocate(registry).WithoutDigest()}
		}))
	}
	return found, nil
}

func find(runtimes []manifest.Runtime, name string) (manifest.Runtime, manifest.Version, error) {
	id, version, named := strings.Cut(name, ":")
	for _, r := range runtimes {
		if r.ID != id || len(r.Versions) == 0 {
			continue
		}
		if !named {
			return r, slices.MaxFunc(r.Versions, func(a, b manifest.Version) int { return compareVersions(a.Version, b.Version) }), nil
		}
		for _, v := range r.Versions {
			if v.Version == version {
				return r, v, nil
			}
		}
	}
	var known []string
	for _, r := range runtimes {
		for _, v := range r.Versions {
			known = append(known, r.ID+":"+v.Version)
		}
	}
	return manifest.Runtime{}, manifest.Version{}, fmt.Errorf("there is no runtime %q; there are: %s", name, strings.Join(known, ", "))
}

// compareVersions compares the numbers between dots as numbers, other words as
// texts.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX != nil || errY != nil {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(x, y)
	})
}
