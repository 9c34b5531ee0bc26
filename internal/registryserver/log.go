package registryserver

import (
	"context"
	"io"
	"reflect"

	"github.com/sirupsen/logrus"
)

// The type of the context key under which distribution looks for its logger.
// It is internal to distribution, so it can be recognised but not named.
const (
	loggerKeyPackage = "github.com/distribution/distribution/v3/internal/dcontext"
	loggerKeyName    = "loggerKey"
)

// logContext gives distribution a logger of our own. Without one it writes to
// logrus's standard logger, which belongs to the whole process: other
// libraries write there, and silencing it would silence them.
//
// A few rare messages (a repository deleted while it is listed, a damaged
// upload) go to the standard logger regardless.
type logContext struct {
	context.Context
	entry *logrus.Entry
}

// withLog returns ctx with a logger for distribution that writes to out.
func withLog(ctx context.Context, out io.Writer) context.Context {
	logger := logrus.New()
	logger.SetOutput(out)
	return logContext{Context: ctx, entry: logrus.NewEntry(logger)}
}

// Value implements context.Context.
func (c logContext) Value(key any) any {
	if t := reflect.TypeOf(key); t.Name() == loggerKeyName && t.PkgPath() == loggerKeyPackage {
		return c.entry
	}
	return c.Context.Value(key)
}
