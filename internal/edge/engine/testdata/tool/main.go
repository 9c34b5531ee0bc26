// Command tool is the only program in the images of the end-to-end tests: what
// a shell does in other images.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
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
	case "cat": // cat FILE [X]: prints it in pieces; fails with an X
		text, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		for _, b := range text {
			fmt.Print(string(b))
		}
		fmt.Println()
		if len(args) > 2 {
			return fmt.Errorf("failed as told")
		}
		return nil
	case "sum": // sum FILE TO: writes a file's SHA-256
		text, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		return os.WriteFile(args[2], fmt.Appendf(nil, "%x", sha256.Sum256(text)), 0o644)
	case "keys": // keys TO: writes how many keys the SSH agent has
		keys, err := agentKeys()
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], []byte(strconv.Itoa(int(keys))), 0o644)
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

// agentKeys asks the SSH agent for its keys and counts them,
// draft-miller-ssh-agent: a request of type 11 gets an answer of type 12, both
// after their lengths; in the answer the number of keys comes first.
func agentKeys() (uint32, error) {
	conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0, 0, 0, 1, 11}); err != nil {
		return 0, err
	}
	var answer [9]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return 0, err
	}
	if answer[4] != 12 {
		return 0, fmt.Errorf("the agent answered with type %d", answer[4])
	}
	return binary.BigEndian.Uint32(answer[5:]), nil
}
