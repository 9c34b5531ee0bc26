package engine

import (
	"time"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// epochArg is the build argument that BuildKit takes the image's time from,
// https://reproducible-builds.org/docs/source-date-epoch/.
const epochArg = "SOURCE_DATE_EPOCH"

// rewriteTimes makes one of BuildKit's image exporters bound the times of
// files in the layers by the request's epoch. Without it only the image's own
// time follows the epoch: all that the graph driver store of Docker's engine
// can do.
func rewriteTimes(req build.Request, attrs map[string]string) {
	if !req.Epoch.IsZero() && !req.KeepTimes {
		attrs[string(exptypes.OptKeyRewriteTimestamp)] = "true"
	}
}

// openContext opens the build's context. With an epoch all of its files have
// that time, because exporters bound times from above only, and a file's time
// in a checkout says nothing. The mirrors that engines keep of contexts do not
// get mixed up by it: their key covers the contents.
func openContext(req build.Request) (fsutil.FS, error) {
	files, err := fsutil.NewFS(req.Context)
	if err != nil || req.Epoch.IsZero() {
		return files, err
	}
	epoch := req.Epoch.Truncate(time.Second).UnixNano()
	return fsutil.NewFilterFS(files, &fsutil.FilterOpt{
		Map: func(_ string, stat *fstypes.Stat) fsutil.MapResult {
			stat.ModTime = epoch // in nanoseconds
			return fsutil.MapResultKeep
		},
	})
}
