// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
)

// newController is the command controller; run is cluster.Run.
func newController(run func(context.Context, cluster.Options) error) *cobra.Command {
	var o cluster.Options
	var l logFlags
	cache := quantity(fetch.DefaultSpool)
	perMap, perNamespace := quantity(cluster.DefaultMaxStoredBytesPerMap), quantity(cluster.DefaultMaxStoredBytesPerNamespace)
	c := &cobra.Command{
		Use:   "controller",
		Short: "Compile BPFMaps into revisions and aggregate reports of nodes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.start(c); err != nil {
				return err
			}
			if err := checkNamespaces(c, o.Namespaces); err != nil {
				return err
			}
			ownSizing().fit(mostOf)
			o.MaxStoredBytesPerMap, o.MaxStoredBytesPerNamespace = perMap.Value(), perNamespace.Value()
			if o.MaxStoredBytesPerMap <= 0 || o.MaxStoredBytesPerNamespace <= 0 {
				return fmt.Errorf("invalid values %s and %s of --max-stored-bytes-per-map and --max-stored-bytes-per-namespace: both must be positive",
					perMap.String(), perNamespace.String())
			}
			if o.Fetch.CacheBytes = cache.Value(); o.Fetch.CacheBytes < fetch.MinSpool {
				return fmt.Errorf("invalid value %s of --source-cache-size: at least %dMi are needed", cache.String(), fetch.MinSpool>>20)
			}
			return run(c.Context(), o)
		},
	}
	addProcessFlags(c, &o.Options, &l)
	addFetchFlags(c, &o.Fetch, &cache)
	f := c.Flags()
	f.BoolVar(&o.Secrets, "secret-sources", false,
		"let BPFMaps name Secrets, for entries and for how sources are fetched (needs the right to read them: chart value controller.sources.secrets.enabled)")
	f.BoolVar(&o.LeaderElect, "leader-elect", false, "elect one active controller among several replicas")
	f.StringVar(&o.Namespace, "namespace", "", "namespace of the lease and of the agents (default the pod's own)")
	f.StringVar(&o.AgentDaemonSet, "agent-daemonset", "",
		"name of the agents' DaemonSet, whose pods have the label app.kubernetes.io/component=agent: a node on which none is Ready is Unknown, and one on which none is to run isn't counted (default: agents aren't looked at)")
	f.IntVar(&o.Concurrency, "concurrency", 4, "how many BPFMaps are reconciled in parallel, of one namespace at most half as many")
	f.IntVar(&o.RevisionHistoryLimit, "revision-history-limit", cluster.DefaultRevisionHistoryLimit, "how many old revisions of each BPFMap are kept; spec.revisionHistoryLimit overrides it")
	f.Var(&perMap, "max-stored-bytes-per-map",
		"packed entries that all kept revisions of one BPFMap may take in the API server: older revisions are deleted, and one that is larger alone is refused")
	f.Var(&perNamespace, "max-stored-bytes-per-namespace",
		"packed entries that all revisions of one namespace may take in the API server: new ones above it are refused")
	return c
}

func quantity(bytes int64) resource.QuantityValue {
	return resource.QuantityValue{Quantity: *resource.NewQuantity(bytes, resource.BinarySI)}
}

// addFetchFlags are the flags of what the controller fetches.
func addFetchFlags(c *cobra.Command, o *cluster.FetchOptions, cache *resource.QuantityValue) {
	f := c.Flags()
	f.StringSliceVar(&o.AllowedHosts, "allowed-source-hosts", nil,
		"hosts that http sources may be on: names, *.NAME for those below one, * for all, or addresses, each with a port if it isn't 80 or 443 (default none)")
	f.StringSliceVar(&o.AllowedNetworks, "allowed-source-networks", nil,
		"networks, such as 10.1.0.0/16, that these hosts may be in though they aren't public: private, loopback, link-local ones (default none)")
	f.DurationVar(&o.MinInterval, "min-source-interval", fetch.DefaultMinInterval, "least time between two fetches of a source")
	f.StringVar(&o.CacheDir, "source-cache-dir", "", "folder of the last good contents of sources (default a temporary one)")
	f.Var(cache, "source-cache-size", "bytes that this folder may take: contents that were used least recently are removed, and fetched again when they are needed")
	f.StringVar(&o.Proxy, "source-proxy", "", "URL of a proxy for http sources that name none of their own")
	f.BoolVar(&o.Artifacts, "artifact-sources", false, "allow artifact sources: files of Flux' GitRepositories, OCIRepositories, Buckets and ExternalArtifacts")
	f.StringSliceVar(&o.ArtifactHosts, "artifact-hosts", cluster.DefaultArtifactHosts, "hosts that artifacts may be on, as in --allowed-source-hosts")
}
