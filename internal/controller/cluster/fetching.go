// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// FetchOptions say what the controller may fetch.
type FetchOptions struct {
	// AllowedHosts are the hosts of http sources, as patterns (see fetch.NewPolicy); none if empty. AllowedNetworks are
	// special networks, such as private ones, that they may be in.
	AllowedHosts, AllowedNetworks []string
	// MinInterval is the least time between two fetches of a document; fetch.DefaultMinInterval if 0.
	MinInterval time.Duration
	// CacheDir is the folder of the last good contents; empty for a temporary one. It takes at most CacheBytes,
	// fetch.DefaultSpool if 0.
	CacheDir   string
	CacheBytes int64
	// Proxy is the URL of a proxy for http sources; empty for none.
	Proxy string
	// Artifacts allows artifact sources. ArtifactHosts are the hosts of artifacts, as patterns;
	// DefaultArtifactHosts if empty.
	Artifacts     bool
	ArtifactHosts []string
	// Limits bound one request; fetch.DefaultLimits if zero.
	Limits fetch.Limits
}

// DefaultArtifactHosts are the services of Flux' controllers as Flux installs them.
var DefaultArtifactHosts = []string{"*.flux-system.svc.cluster.local", "*.flux-system.svc"}

// clusterNetworks are where the services of a cluster usually are.
var clusterNetworks = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}

// annotationFlux is what Flux and its tools put on an object that is to be reconciled now.
const annotationFlux = "reconcile.fluxcd.io/requestedAt"

// newFetcher makes the fetcher of sources. changed is called after each attempt.
func (o *Options) newFetcher(live client.Reader, now func() time.Time) (*fetch.Fetcher, error) {
	c := &fetch.Client{
		Limits: cmp.Or(o.Fetch.Limits, fetch.DefaultLimits()), UserAgent: "bpfmap-controller/" + o.Version, Objects: fetchObjects{live}, Clock: now,
	}
	var denied []netip.Addr
	if addr, err := netip.ParseAddr(os.Getenv("KUBERNETES_SERVICE_HOST")); err == nil {
		denied = append(denied, addr)
	}
	var err error
	if !o.Secrets {
		c.NoSecrets = noSecrets
	}
	const flag = "--allowed-source-hosts (chart: controller.sources.allowedHosts)"
	if c.Policy, err = fetch.NewPolicy(flag, o.Fetch.AllowedHosts, o.Fetch.AllowedNetworks, denied...); err != nil {
		return nil, err
	}
	if o.Fetch.Artifacts {
		hosts := o.Fetch.ArtifactHosts
		if len(hosts) == 0 {
			hosts = DefaultArtifactHosts
		}
		const flag = "--artifact-hosts (chart: controller.sources.artifacts.hosts)"
		if c.Artifacts, err = fetch.NewPolicy(flag, hosts, append(o.Fetch.AllowedNetworks, clusterNetworks...), denied...); err != nil {
			return nil, err
		}
	}
	if o.Fetch.Proxy != "" {
		u, err := url.Parse(o.Fetch.Proxy)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
			return nil, errors.New("invalid value of --source-proxy: must be a URL, as http://proxy.example:3128")
		}
		c.Proxy = u
	}
	return fetch.New(fetch.Settings{
		Client: c, Dir: o.Fetch.CacheDir, MaxBytes: cmp.Or(o.Fetch.CacheBytes, fetch.DefaultSpool), MinInterval: o.Fetch.MinInterval,
		Log: func(err error) { log.Log.WithName(name).Error(err, "Failed to keep what was fetched") },
	}), nil
}

// leader runs the fetcher in the process that is the leader.
type leader struct{ *fetch.Fetcher }

func (l leader) Start(ctx context.Context) error { return l.Run(ctx) }

func (leader) NeedLeaderElection() bool { return true }

// fetchObjects reads what a fetch needs from the API server.
type fetchObjects struct{ live client.Reader }

// Data are the data of a Secret or ConfigMap.
func (o fetchObjects) Data(ctx context.Context, kind, namespace, name string) (map[string][]byte, error) {
	data, err := readData(ctx, o.live, kind, client.ObjectKey{Namespace: namespace, Name: name})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return data, err
}

// Artifact reads the status of a Flux source object.
func (o fetchObjects) Artifact(ctx context.Context, namespace, kind, name string) (fetch.Artifact, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(process.FluxSources.WithKind(kind))
	err := o.live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u)
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fetch.Artifact{}, fmt.Errorf("this cluster has no kind %s of %s: Flux is not installed, or an older version of it", kind, process.FluxSources)
	case apierrors.IsNotFound(err):
		return fetch.Artifact{}, fmt.Errorf("%s %s does not exist in namespace %s", kind, name, namespace)
	case apierrors.IsForbidden(err):
		return fetch.Artifact{}, fmt.Errorf("the controller may not read %s %s: the chart gives it that right with controller.sources.artifacts.enabled: %w", kind, name, err)
	case err != nil:
		return fetch.Artifact{}, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	about, found, err := unstructured.NestedMap(u.Object, "status", "artifact")
	if err != nil || !found {
		return fetch.Artifact{}, fmt.Errorf("%s %s has no artifact yet (status.artifact): its own conditions tell why", kind, name)
	}
	var a fetch.Artifact
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(about, &a); err != nil {
		return fetch.Artifact{}, fmt.Errorf("%s %s: status.artifact: %w", kind, name, err)
	}
	return a, nil
}

// want tells the fetcher what a BPFMap's sources need.
func (r *reconciler) want(ctx context.Context, s *scope) error {
	var specs []fetch.Spec
	token := s.m.Annotations[v1alpha1.AnnotationFetchRequestedAt] + "\n" + s.m.Annotations[annotationFlux]
	for i := range s.m.Spec.EntriesFrom {
		spec, ok := fetch.SpecOf(s.m.Namespace, &s.m.Spec.EntriesFrom[i])
		if !ok || r.fetcher.Client.Check(spec) != nil {
			continue
		}
		specs = append(specs, spec)
		for _, ref := range spec.References() {
			about := process.Metadata(process.ConfigMapKind.GroupVersion().WithKind(ref[0]))
			err := r.client.Get(ctx, client.ObjectKey{Namespace: s.m.Namespace, Name: ref[1]}, about)
			if client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("look for %s %s: %w", ref[0], ref[1], err)
			}
			token += "\n" + string(about.UID) + "/" + about.ResourceVersion
		}
	}
	r.fetcher.Want(s.name, specs, token)
	return nil
}

// Fetch is what was fetched of a source.
func (o objects) Fetch(from *v1alpha1.EntrySource) (compile.Object, error) {
	spec, ok := fetch.SpecOf(o.namespace, from)
	if !ok {
		return nil, &compile.MissingError{Message: "a file source is for the command line (bpfmap apply -f): a controller reads no files of yours; use configMapRef, http or artifact"}
	}
	return o.fetcher.Object(spec)
}

// fetched is what the status tells of the sources that are fetched.
func (r *reconciler) fetched(m *v1alpha1.BPFMap) []status.Fetched {
	var all []status.Fetched
	for i := range m.Spec.EntriesFrom {
		spec, ok := fetch.SpecOf(m.Namespace, &m.Spec.EntriesFrom[i])
		if !ok || r.fetcher.Client.Check(spec) != nil {
			continue
		}
		state, err := r.fetcher.State(spec.ID())
		f := status.Fetched{
			Index: int32(i), Name: spec.Name(), Digest: state.Meta.Digest, Bytes: state.Meta.Bytes,
			Good: state.Good, Next: state.Next, Failure: state.Failure, Since: state.Since,
		}
		if err != nil {
			f.Failure, f.Since = err.Error(), f.Good
		}
		all = append(all, f)
	}
	return all
}

// fetchKeys are the keys of indexSources for what fetching a source needs.
func fetchKeys(namespace string, from *v1alpha1.EntrySource) []string {
	spec, ok := fetch.SpecOf(namespace, from)
	if !ok {
		return nil
	}
	var keys []string
	for _, ref := range spec.References() {
		keys = append(keys, strings.Join(ref[:], "/"))
	}
	return keys
}
