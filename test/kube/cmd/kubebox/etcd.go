package main

import (
	"context"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd starts a store of one member with its data in dir and returns when
// it takes requests. Its only client listener is Clients[0], on a port that
// the kernel chose. Close ends it.
func startEtcd(ctx context.Context, dir string) (*embed.Etcd, error) {
	// Port 0 also as the advertised address: no other member ever asks.
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort, anyPort
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort, anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	// The gateway to JSON would dial the configured port, which is 0.
	config.EnableGRPCGateway = false
	// Test data need not survive a crash of the machine.
	config.UnsafeNoFsync = true

	store, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-store.Server.ReadyNotify():
		return store, nil
	case err := <-store.Err():
		store.Close()
		return nil, err
	case <-ctx.Done():
		store.Close()
		return nil, fmt.Errorf("interrupted before it was ready: %w", ctx.Err())
	}
}
