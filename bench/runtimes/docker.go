package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function/containers"
)

// dockerCommand asks the docker command for what the contract's engine has no words
// for. out is what it prints as JSON.
func dockerCommand(ctx context.Context, out any, args ...string) error {
	text, err := dockerText(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("docker %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func dockerText(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "docker", args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// An imageDetail is what the engine says of an image.
type imageDetail struct {
	// Size is that of all layers, unpacked, in bytes.
	Size   int64
	Config struct{ Env []string }
}

func inspectImage(ctx context.Context, image string) (imageDetail, error) {
	var d imageDetail
	err := dockerCommand(ctx, &d, "image", "inspect", "--format", "{{json .}}", image)
	return d, err
}

// env is a variable of the image's environment.
func (d imageDetail) env(name string) string {
	for _, variable := range d.Config.Env {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

// A containerDetail is what the engine says of a container.
type containerDetail struct {
	State struct {
		Pid       int
		StartedAt time.Time
	}
	NetworkSettings struct{ IPAddress string }
}

// inspectServer finds a server's container by the port that it publishes.
func inspectServer(ctx context.Context, server containers.Server) (containerDetail, error) {
	var d containerDetail
	at, err := url.Parse(server.URL())
	if err != nil {
		return d, err
	}
	id, err := dockerText(ctx, "ps", "--quiet", "--filter", "publish="+at.Port())
	if err != nil {
		return d, err
	}
	if id == "" || strings.Contains(id, "\n") {
		return d, fmt.Errorf("want one container that publishes port %s, got %q", at.Port(), id)
	}
	err = dockerCommand(ctx, &d, "container", "inspect", "--format", "{{json .}}", id)
	return d, err
}

// address is where the container listens on the engine's own network.
func (d containerDetail) address(port int) (endpoint, error) {
	if d.NetworkSettings.IPAddress == "" {
		return endpoint{}, errors.New("the container has no address on the engine's bridge")
	}
	return endpoint{"tcp", net.JoinHostPort(d.NetworkSettings.IPAddress, strconv.Itoa(port))}, nil
}

// memory is what the container's control group uses, in bytes, without files
// that the kernel may drop: what docker stats shows.
func (d containerDetail) memory() (int64, error) {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", d.State.Pid))
	if err != nil {
		return 0, err
	}
	folder, usage, inactive := "", "memory.current", "inactive_file"
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "memory":
			folder = filepath.Join("/sys/fs/cgroup/memory", fields[2])
			usage, inactive = "memory.usage_in_bytes", "total_inactive_file"
		case fields[0] == "0" && folder == "":
			folder = filepath.Join("/sys/fs/cgroup", fields[2])
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, usage))
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", usage, err)
	}
	droppable, err := field(filepath.Join(folder, "memory.stat"), inactive)
	return used - droppable, err
}

// field is the number after a name in a file of lines "name number".
func field(path, name string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), " "); key == name {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// loadAverage is the machine's of the last minute.
func loadAverage() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}
