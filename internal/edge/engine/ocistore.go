package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/progress/progresswriter"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// ociStore serves a buildkitd and the embedded engine, which keep a build
// cache but no images. What is pushed goes straight to the registry; what is
// retained is exported to a content store on our side, from which the engine
// reads it as the parent of a later build.
type ociStore struct {
	// insecure are Config.InsecureRegistries; knows tells that the engine has
	// them itself: told once more, BuildKit pushes with a client of its own.
	insecure []string
	knows    bool

	mu sync.Mutex
	// folder is the content store's, made when it is first needed.
	folder  *imageFolder
	content content.Store
}

// storeID names our content store in the addresses of parents.
const storeID = "rtbuild"

func newOCIStore(insecure []string) *ociStore { return &ociStore{insecure: insecure} }

// openOCIStore makes the store of an engine. It removes what processes that
// were killed left of theirs, on which no build depends: a failure goes to the
// log.
func openOCIStore(cfg Config) *ociStore {
	if err := removeDeadImageFolders(os.TempDir()); err != nil && cfg.Log != nil {
		fmt.Fprintf(cfg.Log, "removing images that a killed process left: %v\n", err)
	}
	return newOCIStore(cfg.InsecureRegistries)
}

func (s *ociStore) admit(build.Request) error { return nil }

func (s *ociStore) prepare(_ context.Context, req build.Request, opt *client.SolveOpt) error {
	if err := s.addParents(req, opt); err != nil {
		return err
	}
	switch {
	case req.Push:
		attrs := map[string]string{"name": strings.Join(req.References, ","), "push": "true"}
		if !s.knows && s.allInsecure(req.References) {
			attrs["registry.insecure"] = "true"
		}
		rewriteTimes(req, attrs)
		annotate(req, attrs)
		opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}
	case req.Retain:
		contents, err := s.open()
		if err != nil {
			return err
		}
		attrs := map[string]string{"tar": "false"}
		rewriteTimes(req, attrs)
		opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, Attrs: attrs, OutputStore: contents}}
	}
	return nil
}

// annotate has the image's fingerprint put into its manifest, or into the index
// of an image for several platforms, where one answer of a registry shows it.
// Indexes with annotations exist in OCI's form only.
func annotate(req build.Request, attrs map[string]string) {
	fingerprint := req.Labels[build.LabelFingerprint]
	switch {
	case fingerprint == "":
	case len(req.Platforms) > 1:
		attrs[exptypes.AnnotationIndexKey(build.LabelFingerprint)] = fingerprint
		attrs[string(exptypes.OptKeyOCITypes)] = "true"
	default:
		attrs[exptypes.AnnotationManifestKey(nil, build.LabelFingerprint)] = fingerprint
	}
}

// addParents gives the build the retained images that it names.
func (s *ociStore) addParents(req build.Request, opt *client.SolveOpt) error {
	if len(req.Parents) == 0 {
		return nil
	}
	contents, err := s.open()
	if err != nil {
		return err
	}
	opt.OCIStores = map[string]content.Store{storeID: contents}
	for ref, parent := range req.Parents {
		if parent.Digest == "" {
			return fmt.Errorf("parent image %s: its build was neither pushed nor retained", ref)
		}
		name, err := contextName(ref)
		if err != nil {
			return err
		}
		opt.FrontendAttrs["context:"+name] = "oci-layout://" + storeID + "@" + parent.Digest
	}
	return nil
}

// contextName is the name under which the Dockerfile frontend looks for a
// replacement of an image: the familiar form of its reference, without the
// tag latest.
func contextName(ref string) (string, error) {
	n, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("parent image %q: %w", ref, err)
	}
	return strings.TrimSuffix(reference.FamiliarString(n), ":latest"), nil
}

func (s *ociStore) finish(_ context.Context, req build.Request, response map[string]string, _ progresswriter.Logger) (build.Result, error) {
	if !req.Push && !req.Retain {
		return build.Result{}, nil
	}
	digest, err := manifestDigest(response)
	if err != nil {
		return build.Result{}, err
	}
	result := build.Result{Digest: digest, ImageID: imageID(response)}
	if req.Push {
		result.References = slices.Clone(req.References)
	}
	return result, nil
}

// open returns the content store, and makes it the first time.
func (s *ociStore) open() (content.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.content != nil {
		return s.content, nil
	}
	folder, err := newImageFolder(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("making a folder for images that are not pushed: %w", err)
	}
	contents, err := local.NewStore(folder.path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a store for images that are not pushed: %w", err), folder.remove())
	}
	s.folder, s.content = folder, contents
	return contents, nil
}

// close removes the content store.
func (s *ociStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folder == nil {
		return nil
	}
	if err := s.folder.remove(); err != nil {
		return fmt.Errorf("removing images that were not pushed: %w", err)
	}
	s.folder, s.content = nil, nil
	return nil
}

// allInsecure tells whether every reference is at a registry that may be
// spoken to insecurely. The exporter has one such switch for all of them, so
// one secure registry among them turns it off.
func (s *ociStore) allInsecure(refs []string) bool {
	for _, ref := range refs {
		n, err := reference.ParseNormalizedNamed(ref)
		if err != nil || !s.isInsecure(reference.Domain(n)) {
			return false
		}
	}
	return true
}

func (s *ociStore) isInsecure(registry string) bool {
	host := registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		host = h
	}
	if slices.Contains(s.insecure, registry) || slices.Contains(s.insecure, host) {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
