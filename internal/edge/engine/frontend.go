package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	"github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// gatewayFrontend is the engine's frontend that runs the one in an image.
const gatewayFrontend = "gateway.v0"

// frontend runs BuildKit's Dockerfile frontend in this process, with the engine
// behind it: on every engine, of whichever version, a Dockerfile comes to what
// was hashed.
func frontend(req build.Request) gateway.BuildFunc {
	return func(ctx context.Context, engine gateway.Client) (*gateway.Result, error) {
		if err := checkBuildPlatform(req, engine.BuildOpts().Workers); err != nil {
			return nil, err
		}
		return dockerfile.Build(ctx, locatingClient{Client: engine, req: req, caps: engine.BuildOpts().LLBCaps})
	}
}

// checkBuildPlatform refuses to build on another platform than that whose name
// is in what was hashed.
func checkBuildPlatform(req build.Request, workers []gateway.WorkerInfo) error {
	if req.BuildPlatform == "" || len(workers) == 0 || len(workers[0].Platforms) == 0 {
		return nil
	}
	if own := platforms.Format(platforms.Normalize(workers[0].Platforms[0])); own != req.BuildPlatform {
		return fmt.Errorf("the engine builds on %s and was taken to build on %s, which the Dockerfile uses (BUILDPLATFORM): build with an engine of this machine", own, req.BuildPlatform)
	}
	return nil
}

// A locatingClient is an engine that takes images from where the request says.
type locatingClient struct {
	gateway.Client
	req build.Request
	// caps is what the engine can do.
	caps apicaps.CapSet
}

// ResolveImageConfig implements gateway.Client.
func (c locatingClient) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	if opt.OCILayoutOpt == nil {
		ref = locate(c.req, ref)
	}
	return c.Client.ResolveImageConfig(ctx, ref, opt)
}

// Solve implements gateway.Client. The frontend in an image is taken from where
// the request says, too.
func (c locatingClient) Solve(ctx context.Context, solve gateway.SolveRequest) (*gateway.Result, error) {
	if solve.Frontend == gatewayFrontend {
		if c.req.Frontend == "" {
			return nil, errors.New("the Dockerfile names a frontend that the request does not have")
		}
		solve.FrontendOpt["source"] = locate(c.req, c.req.Frontend)
	}
	if err := checkOperations(solve.Definition, c.caps); err != nil {
		return nil, err
	}
	return c.Client.Solve(ctx, solve)
}

// checkOperations refuses operations that the engine is too old for. Engines
// leave out what they do not know, without a word.
func checkOperations(definition *pb.Definition, caps apicaps.CapSet) error {
	needed := map[apicaps.CapID]string{} // and what for, where that is known
	for _, operation := range definition.GetMetadata() {
		for id := range operation.Caps {
			needed[apicaps.CapID(id)] = ""
		}
	}
	for _, encoded := range definition.GetDef() {
		var op pb.Op
		if err := op.Unmarshal(encoded); err != nil {
			return fmt.Errorf("reading BuildKit's operations: %w", err)
		}
		needForCopies(&op, needed)
	}
	for _, id := range slices.Sorted(maps.Keys(needed)) {
		if err := caps.Supports(id); err != nil {
			return fmt.Errorf("the engine is too old, and cannot do what the Dockerfile asks for (%s%w): build with the embedded engine, or a newer one", needed[id], err)
		}
	}
	return nil
}

// symbolicModes is a capability of the engines that take modes with letters: it
// came with them, in BuildKit v0.17. They have a capability of their own, which
// no engine up to v0.33 says that it has.
const symbolicModes = pb.CapExecValidExitCode

// needForCopies adds what copies need: BuildKit's own note of it, up to v0.33,
// is made before it knows them and stays empty.
func needForCopies(op *pb.Op, needed map[apicaps.CapID]string) {
	for _, action := range op.GetFile().GetActions() {
		copied := action.GetCopy()
		if len(copied.GetIncludePatterns())+len(copied.GetExcludePatterns()) > 0 {
			needed[pb.CapFileCopyIncludeExcludePatterns] = "--exclude or --parents: "
		}
		if len(copied.GetRequiredPaths()) > 0 {
			needed[pb.CapFileCopyRequiredPaths] = "--parents: "
		}
		if copied.GetModeStr() != "" {
			delete(needed, pb.CapFileCopyModeStringFormat)
			needed[symbolicModes] = "--chmod with letters: "
		}
	}
}

// locate is where an image is taken from.
func locate(req build.Request, ref string) string {
	if located, ok := req.Images[ref]; ok {
		return located
	}
	if parent, ok := req.Parents[ref]; ok && len(parent.References) > 0 {
		return parent.References[0]
	}
	return ref
}

// nameContexts has the frontend in an image take images from where the request
// says, which asks the engine for them by itself. One that is too old for named
// contexts refuses.
func nameContexts(req build.Request, opt *client.SolveOpt) error {
	if req.Frontend == "" {
		return nil
	}
	for ref := range req.Images {
		if ref == req.Frontend {
			continue
		}
		name, err := contextName(ref)
		if err != nil {
			return err
		}
		opt.FrontendAttrs["context:"+name] = "docker-image://" + locate(req, ref)
		opt.FrontendAttrs["frontend.caps"] = "moby.buildkit.frontend.contexts+forward"
	}
	return nil
}
