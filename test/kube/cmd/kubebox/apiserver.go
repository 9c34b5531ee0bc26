package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJobs name time zones; the machine may have none.

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/component-base/featuregate"
	utilversion "k8s.io/component-base/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// An apiServer is a kube-apiserver that is set up but does not run yet.
type apiServer struct {
	listener net.Listener
	options  *options.ServerRunOptions
	// certificateFile is where run puts the self-signed certificate, in PEM.
	certificateFile string
}

// newAPIServer sets up an API server that keeps its files in dir, knows the
// one user whose bearer token is token (of group system:masters), and stores
// objects in the etcd at address etcd. With accounts, Pods have service accounts.
func newAPIServer(dir, token, etcd string, accounts bool) (*apiServer, error) {
	tokenFile := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokenFile, []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing the token: %w", err)
	}
	// The server does not start without a key for service account tokens.
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, fmt.Errorf("making the service account key: %w", err)
	}
	keyFile := filepath.Join(dir, "service-account.key")
	if err := keyutil.WriteKey(keyFile, key); err != nil {
		return nil, fmt.Errorf("writing the service account key: %w", err)
	}

	// The features that the options' defaults ask for are registered first.
	featuregate.DefaultComponentGlobalsRegistry.ComponentGlobalsOrRegister(
		featuregate.DefaultKubeComponent, utilversion.DefaultBuildEffectiveVersion(), utilfeature.DefaultMutableFeatureGate)
	serverOptions := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range serverOptions.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	certificates := filepath.Join(dir, "certificates")
	arguments := []string{
		"--etcd-servers=http://" + etcd,
		"--bind-address=127.0.0.1",
		"--cert-dir=" + certificates,
		"--token-auth-file=" + tokenFile,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + keyFile,
		"--service-account-key-file=" + keyFile,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		// Nobody reaches this server through the Service named kubernetes,
		// and a loopback address is not an endpoint that it would accept.
		"--endpoint-reconciler-type=none",
	}
	if !accounts {
		// Nothing runs that would make the default service account, and no Pod
		// that would use it.
		arguments = append(arguments, "--disable-admission-plugins=ServiceAccount")
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if err := featuregate.DefaultComponentGlobalsRegistry.Set(); err != nil {
		return nil, fmt.Errorf("setting the feature gates: %w", err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	address := listener.Addr().(*net.TCPAddr)
	serverOptions.SecureServing.Listener = listener
	serverOptions.SecureServing.BindPort = address.Port
	// Without it the server looks for an address beyond loopback, which a
	// machine without a network does not have.
	serverOptions.SecureServing.ExternalAddress = address.IP
	return &apiServer{
		listener:        listener,
		options:         serverOptions,
		certificateFile: filepath.Join(certificates, "apiserver.crt"),
	}, nil
}

// url is where the server answers.
func (s *apiServer) url() string { return "https://" + s.listener.Addr().String() }

// run serves until ctx ends, and then stops gracefully.
func (s *apiServer) run(ctx context.Context) error {
	completed, err := s.options.Complete(ctx)
	if err != nil {
		return fmt.Errorf("completing its options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("checking its options: %w", utilerrors.NewAggregate(errs))
	}
	return app.Run(ctx, completed)
}
