// Command tool is the only program in the images of the end-to-end tests: what
// a shell does in other images.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch args[0] {
	case "write": // write FILE TEXT
		return os.WriteFile(args[1], []byte(args[2]), 0o644)
	case "env": // env FILE NAME: writes a variable's value
		return os.WriteFile(args[1], []byte(os.Getenv(args[2])), 0o644)
	case "sleep": // sleep SECONDS [MARK]
		seconds, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(seconds) * time.Second)
		return nil
	case "fail": // fail LINES: prints as many lines, then fails
		lines, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		for i := range lines {
			fmt.Fprintln(os.Stderr, "line", i+1)
		}
		return fmt.Errorf("failed as told")
	}
	return fmt.Errorf("unknown command %q", args[0])
}
