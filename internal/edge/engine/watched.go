package engine

import (
	"errors"
	"io"

	"github.com/tonistiigi/fsutil"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// openContext is the build's context as it is sent. Failed is told of a file
// that cannot be read.
func openContext(req build.Request, failed func(error)) (fsutil.FS, error) {
	return fsutil.NewFilterFS(watchedFiles{FS: req.Context, failed: failed}, &fsutil.FilterOpt{Map: setTimes(req)})
}

// watchedFiles tell failed of a file that cannot be read. fsutil does not tell
// the receiver, and both then wait for each other for good: who sends files has
// to end the build itself.
type watchedFiles struct {
	fsutil.FS
	failed func(error)
}

// Open implements fsutil.FS.
func (w watchedFiles) Open(path string) (io.ReadCloser, error) {
	file, err := w.FS.Open(path)
	if err != nil {
		w.failed(err)
		return nil, err
	}
	return watchedFile{file, w.failed}, nil
}

type watchedFile struct {
	io.ReadCloser
	failed func(error)
}

// Read implements io.Reader.
func (w watchedFile) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed(err)
	}
	return n, err
}
