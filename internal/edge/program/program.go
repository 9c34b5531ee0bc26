// Package program runs the programs of others that edges stand on.
package program

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"
)

// PipeGrace is how long children of a program that was ended may keep its pipes
// open.
const PipeGrace = 5 * time.Second

// Output runs a command that was made with ctx, with input on stdin, and returns
// what it prints on stdout and, without white space around it, on stderr. The
// error is the cause of ctx once that has ended, else that of exec.Cmd.Run.
func Output(ctx context.Context, cmd *exec.Cmd, input []byte) (stdout []byte, stderr string, err error) {
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &said
	cmd.WaitDelay = PipeGrace
	err = cmd.Run()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.Bytes(), strings.TrimSpace(said.String()), err
}
