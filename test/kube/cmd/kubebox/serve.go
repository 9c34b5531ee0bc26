package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// startLimit bounds the time from the start to /readyz; a start takes a
	// few seconds on an idle machine.
	startLimit = 2 * time.Minute
	// stopLimit bounds the API server's graceful shutdown.
	stopLimit = 20 * time.Second
)

// serve runs etcd and the API server with all their state in dir; accounts says
// whether Pods have service accounts. When the
// server answers /readyz it writes dir/kubeconfig and calls ready. It returns
// nil when ctx ended and the server stopped well; that it did not start or
// ended by itself is an error.
func serve(ctx context.Context, dir string, accounts bool, ready func()) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("finding the state folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	// A kubeconfig of an earlier run names a port where nobody answers.
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.Remove(kubeconfig); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the old kubeconfig: %w", err)
	}

	store, err := startEtcd(ctx, filepath.Join(dir, "etcd"))
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	defer store.Close()

	token, err := newToken()
	if err != nil {
		return err
	}
	server, err := newAPIServer(dir, token, store.Clients[0].Addr().String(), accounts)
	if err != nil {
		return fmt.Errorf("setting up the API server: %w", err)
	}
	serverContext, stopServer := context.WithCancel(ctx)
	defer stopServer()
	ended := make(chan error, 1)
	go func() { ended <- server.run(serverContext) }()

	waited := make(chan error, 1)
	go func() { waited <- announce(serverContext, server, token, kubeconfig, ready) }()
	for {
		select {
		case err := <-waited:
			if err != nil && ctx.Err() == nil {
				return err
			}
			waited = nil
		case err := <-ended:
			if ctx.Err() == nil {
				return fmt.Errorf("the API server ended by itself: %w", err)
			}
			return err
		case err := <-store.Err():
			return fmt.Errorf("etcd ended: %w", err)
		case <-ctx.Done():
			return awaitEnd(ended)
		}
	}
}

// awaitEnd waits until the API server has shut down.
func awaitEnd(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(stopLimit):
		return fmt.Errorf("the API server did not stop within %v", stopLimit)
	}
}

// announce waits for /readyz, writes the kubeconfig and calls ready.
func announce(ctx context.Context, server *apiServer, token, kubeconfig string, ready func()) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	certificate, err := awaitReady(ctx, server, token)
	if err != nil {
		return fmt.Errorf("waiting for /readyz: %w", err)
	}
	if err := writeKubeconfig(kubeconfig, server.url(), token, certificate); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	ready()
	return nil
}

// awaitReady polls /readyz until the answer is 200 and returns the server's
// certificate in PEM, by which clients know it.
func awaitReady(ctx context.Context, server *apiServer, token string) ([]byte, error) {
	var last error
	for {
		certificate, err := os.ReadFile(server.certificateFile)
		if err == nil {
			err = askReady(ctx, server.url(), token, certificate)
		}
		if err == nil {
			return certificate, nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; the last answer: %w", ctx.Err(), last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// askReady asks /readyz once; anything but 200 is an error.
func askReady(ctx context.Context, url, token string, certificate []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return errors.New("the server's certificate file holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answered %s", response.Status)
	}
	return nil
}

// writeKubeconfig writes a kubeconfig in one step: whoever sees the file sees
// all of it.
func writeKubeconfig(path, url, token string, certificate []byte) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["kubebox"] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: certificate}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["kubebox"] = &clientcmdapi.Context{Cluster: "kubebox", AuthInfo: "admin"}
	config.CurrentContext = "kubebox"
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// newToken makes the bearer token of one run.
func newToken() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	return hex.EncodeToString(random), nil
}
