// Command container is what the tests of containers run in an image that
// holds nothing else.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getenv("ROLE") == "wait" {
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		fmt.Println("ready")
		<-ended
		os.Exit(5)
	}
	content, err := os.ReadFile("f") // in the working directory
	if err == nil {
		err = os.WriteFile("/dev/termination-log", []byte("the reason"), 0)
	}
	if err == nil {
		err = os.WriteFile("made", nil, 0o600)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(string(content))
	fmt.Fprintln(os.Stderr, "uid", os.Getuid())
	os.Exit(7)
}
