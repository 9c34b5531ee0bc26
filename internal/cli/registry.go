package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/registryserver"
)

func (a *app) registryCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Serve the embedded registry until interrupted",
		Long: `Serve the images that --registry local stores under .rtbuild/registry. Runs
with --registry local use this server while it is there.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.open()
			if err != nil {
				return err
			}
			folder, err := a.stateFolder("registry")
			if err != nil {
				return err
			}
			server, err := registryserver.Start(cmd.Context(), registryserver.Config{Root: folder, Address: address, Log: a.verboseLog()})
			if err != nil {
				return fmt.Errorf("starting the embedded registry: %w", err)
			}
			s.local = server
			a.warnDisplaced(server)
			defer func() { err = errors.Join(err, s.close()) }()
			if server.Shared() {
				return fmt.Errorf("another process serves this folder already, at %s", server.Address())
			}
			err = a.print(map[string]string{"address": server.Address()}, func(out io.Writer) error {
				_, err := fmt.Fprintln(out, server.Address())
				return err
			})
			if err != nil {
				return err
			}
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "address", "", "`HOST:PORT` to listen on, for this run; a port that is taken is replaced by a free one (default the tree's own address on 127.0.0.1)")
	return cmd
}
