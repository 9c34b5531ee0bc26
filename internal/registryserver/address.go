package registryserver

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// addressName is the file in the root folder that holds the address which the
// folder's server listens on, HOST:PORT, from one run to the next: references
// with that address are in ConfigMaps and in engines' caches.
const addressName = "rtbuild.address"

const host = "127.0.0.1"

// Folders without an address get a port of this range. It lies below the ports
// that Linux gives to outgoing connections (32768 and up).
const (
	firstPort = 20000
	ports     = 12000
)

// listen opens the address that was asked for, else the folder's own. Displaced
// is the folder's address of before, where another process has taken it.
func listen(ctx context.Context, root, asked string) (_ net.Listener, displaced string, err error) {
	if asked != "" {
		listener, err := listenOrNear(ctx, asked)
		return listener, "", err
	}
	path := filepath.Join(root, addressName)
	saved, err := readAddress(path)
	if err != nil {
		return nil, "", err
	}
	if saved != "" {
		listener, err := listenAt(ctx, saved)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return listener, "", err
		}
	}
	listener, err := listenFirst(ctx, root)
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(path, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
		return nil, "", errors.Join(fmt.Errorf("keeping the registry's address: %w", err), listener.Close())
	}
	return listener, saved, nil
}

// readAddress is the address in the file, or empty where there is none.
func readAddress(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	address := strings.TrimSpace(string(content))
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", fmt.Errorf("%s: %w; it holds the registry's HOST:PORT: delete it to have another chosen", path, err)
	}
	return address, nil
}

// listenFirst opens the first free port from the one that the hash of the folder's path
// gives, so that folders which never run at the same time have ports of
// their own, too.
func listenFirst(ctx context.Context, root string) (net.Listener, error) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(root)) // a hash takes everything
	start := int(sum.Sum32() % ports)
	for i := range ports {
		port := firstPort + (start+i)%ports
		listener, err := listenAt(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
	return nil, fmt.Errorf("no port from %d to %d is free on %s", firstPort, firstPort+ports-1, host)
}

// listenOrNear opens an address, or a free port of its host if that port is
// taken.
func listenOrNear(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w; write HOST:PORT", address, err)
	}
	listener, err := listenAt(ctx, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return listenAt(ctx, net.JoinHostPort(host, "0"))
	}
	return listener, err
}

func listenAt(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}
