package dockerfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"

	"github.com/rtbuild/rtbuild/pkg/buildcontext"
)

// contextSource is how operations name the build context.
const contextSource = "local://context"

// operations are what a definition says of its operations as a whole.
type operations struct {
	// hash covers all of them, with which works on the result of which.
	hash string
	// reads and needs are those of Conversion.
	reads, needs []string
}

// readOperations goes through a marshalled graph, in which each operation comes
// after those that it works on, and names them by their digests. What says how
// the context is sent, and not what is done with it, is left out of the hash.
func readOperations(definition *llb.Definition) (*operations, error) {
	ops := &operations{}
	hashes := map[string]digest.Digest{}
	isContext := map[string]bool{}
	for _, encoded := range definition.Def {
		var op pb.Op
		if err := op.Unmarshal(encoded); err != nil {
			return nil, fmt.Errorf("reading BuildKit's operations: %w", err)
		}
		id := string(digest.FromBytes(encoded))
		if source := op.GetSource(); source != nil && source.Identifier == contextSource {
			isContext[id] = true
			if err := ops.context(source); err != nil {
				return nil, err
			}
		}
		ops.need(&op, func(input int64) bool {
			return input >= 0 && int(input) < len(op.Inputs) && isContext[op.Inputs[input].Digest]
		})
		for _, input := range op.Inputs {
			input.Digest = string(hashes[input.Digest])
		}
		canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(&op)
		if err != nil {
			return nil, fmt.Errorf("hashing BuildKit's operations: %w", err)
		}
		hashes[id] = digest.FromBytes(canonical)
		ops.hash = hashes[id].Encoded()
	}
	return ops, nil
}

// context reads which paths of the context are asked for.
func (o *operations) context(source *pb.SourceOp) error {
	o.reads = []string{buildcontext.Everything}
	if paths := source.Attrs[pb.AttrFollowPaths]; paths != "" {
		if err := json.Unmarshal([]byte(paths), &o.reads); err != nil {
			return fmt.Errorf("reading which paths BuildKit asks for: %w", err)
		}
	}
	source.Attrs = nil
	return nil
}

// need adds what an operation fails without.
func (o *operations) need(op *pb.Op, isContext func(input int64) bool) {
	for _, action := range op.GetFile().GetActions() {
		copied := action.GetCopy()
		if copied == nil || !isContext(action.SecondaryInput) {
			continue
		}
		o.add(copied.Src)
		for _, path := range copied.RequiredPaths {
			o.add(path)
		}
	}
	for _, mount := range op.GetExec().GetMounts() {
		if isContext(mount.Input) {
			o.add(mount.Selector)
		}
	}
}

func (o *operations) add(path string) {
	if !strings.ContainsAny(path, `*?[\`) && strings.Trim(path, "/") != "" && !slices.Contains(o.needs, path) {
		o.needs = append(o.needs, path)
	}
}
