// Package process sets up the process of a command.
package process

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Interruptible is a context that SIGINT and SIGTERM cancel, until stop is called.
func Interruptible() (ctx context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// CollectLater lets the heap grow to 16 MiB before it is collected for the
// first time; from then on it is as GOGC says. Most commands end before. A
// collection costs them a tenth of their time, since it scans the variables of
// all packages, of which there are many.
func CollectLater() {
	usual := debug.SetGCPercent(400)
	if usual != 100 {
		debug.SetGCPercent(usual) // somebody has set GOGC
		return
	}
	runtime.AddCleanup(new([16]byte), func(percent int) { debug.SetGCPercent(percent) }, usual)
}
