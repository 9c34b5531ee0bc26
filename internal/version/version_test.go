package version_test

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/version"
)

func TestVersion(t *testing.T) {
	vcs := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2031-05-06T07:08:09Z"}, {Key: "vcs.modified", Value: "true"}}
	for _, test := range []struct {
		info *debug.BuildInfo
		want string
		date string
	}{
		{nil, "rtbuild devel ", ""},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "rtbuild devel ", ""},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: vcs}, "rtbuild v1.2.3 (0123456789ab of 2031-05-06) ", "2031-05-06T07:08:09Z"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "rtbuild v1.2.3 ", ""},
		{&debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20310506070809-fedcba987654"}}, "rtbuild v0.0.0-20310506070809-fedcba987654 (fedcba987654 of 2031-05-06) ", "2031-05-06T07:08:09Z"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.4-0.20310506070809-fedcba987654+dirty"}}, "rtbuild v1.2.4-0.20310506070809-fedcba987654+dirty (fedcba987654 of 2031-05-06) ", "2031-05-06T07:08:09Z"},
	} {
		got := version.Of(test.info)
		if rest, ok := strings.CutPrefix(got.String(), test.want); !ok || !strings.HasPrefix(rest, "go") || got.Date != test.date {
			t.Errorf("%+v is %q of %q, want %q…", test.info, got, got.Date, test.want)
		}
	}
}
