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

// setTimes gives all files of a context the epoch, or 1970, because a file's
// time in a checkout says nothing, and exporters bound times from above only.
// The mirrors that engines keep of contexts do not get mixed up by it: their key
// covers the contents.
func setTimes(req build.Request) fsutil.MapFunc {
	epoch := int64(0)
	if !req.Epoch.IsZero() {
		epoch = req.Epoch.Truncate(time.Second).UnixNano()
	}
	return func(_ string, stat *fstypes.Stat) fsutil.MapResult {
		stat.ModTime = epoch // in nanoseconds
		return fsutil.MapResultKeep
	}
}
