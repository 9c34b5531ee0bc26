// Command count sits between clients and a registry, counts requests and
// can delay each:
//
//	go run ./bench/count -target http://127.0.0.1:5000 -latency 50ms
//
// It prints its address. GET /count on the second address that it prints says
// how many requests came so far, a line for each kind, and how many bytes they
// brought.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/internal/faultproxy"
)

func main() {
	target := flag.String("target", "", "the registry's `URL`")
	latency := flag.Duration("latency", 0, "added to each request")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *target, *latency); err != nil {
		fmt.Fprintln(os.Stderr, "count:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, target string, latency time.Duration) error {
	proxy, err := faultproxy.New(faultproxy.Config{Target: target, Latency: latency})
	if err != nil {
		return err
	}
	defer proxy.Close()
	failed := make(chan error, 2)
	for _, handler := range []http.Handler{proxy, counts(proxy)} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		defer server.Close()
		go func() { failed <- server.Serve(listener) }()
		fmt.Println(listener.Addr())
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return errors.Join(err, ctx.Err())
	}
}

// counts answers with the number of requests by kind: "all", "ping" and
// "METHOD manifests", "METHOD blobs"; and with "bytes pushed".
func counts(proxy *faultproxy.Proxy) http.Handler {
	kinds := []struct {
		name  string
		route *regexp.Regexp
	}{{"all", nil}, {"ping", regexp.MustCompile(`^GET /v2/$`)}}
	for _, method := range []string{"HEAD", "GET", "PUT", "POST", "PATCH"} {
		for _, what := range []string{"manifests", "blobs"} {
			kinds = append(kinds, struct {
				name  string
				route *regexp.Regexp
			}{method + " " + what, regexp.MustCompile("^" + method + " /v2/.+/" + what + "/")})
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		for _, kind := range kinds {
			fmt.Fprintf(w, "%s\t%d\n", kind.name, proxy.Count(kind.route))
		}
		fmt.Fprintf(w, "bytes pushed\t%d\n", proxy.Uploaded())
	})
	return mux
}
