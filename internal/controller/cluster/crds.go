// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// How often the served CRDs are looked at: soon while people may be upgrading them, seldom while they fit.
// A look costs one small request, unless something changed.
const (
	crdsMending = 2 * time.Second
	crdsFit     = time.Minute
)

// reasonCRDsOutdated is the reason of the events of BPFMaps that are held back.
const reasonCRDsOutdated = "CRDsOutdated"

// maxMissing is how many fields of one kind a message names.
const maxMissing = 8

// kinds are what this project's CRDs serve.
var kinds = []runtime.Object{&v1alpha1.BPFMap{}, &v1alpha1.BPFMapRevision{}, &v1alpha1.BPFMapChunk{}, &v1alpha1.BPFNodeState{}}

// crds holds all work back while the API server has CRDs that are older than this controller. The server
// drops the fields that those lack without a word: a revision could lose its entries on the way, and the
// nodes theirs.
type crds struct {
	server openapi.Client

	compared func() // marks the first verdict
	first    chan struct{}
	served   string // what the last verdict is about

	mu   sync.Mutex
	err  error
	told map[types.NamespacedName]bool
}

func newCRDs(cfg *rest.Config, h *http.Client) (*crds, error) {
	d, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, h)
	if err != nil {
		return nil, fmt.Errorf("make discovery client: %w", err)
	}
	c := &crds{server: d.OpenAPIV3(), first: make(chan struct{}), err: errors.New("CRD check pending")}
	c.compared = sync.OnceFunc(func() { close(c.first) })
	return c, nil
}

// fittingCRDs are never compared.
func fittingCRDs() *crds {
	c := &crds{first: make(chan struct{}), compared: func() {}, told: map[types.NamespacedName]bool{}}
	close(c.first)
	return c
}

// NeedLeaderElection lets those that stand by be ready, too.
func (c *crds) NeedLeaderElection() bool { return false }

// Start looks until ctx ends.
func (c *crds) Start(ctx context.Context) error {
	for {
		c.look(ctx)
		pause := crdsFit
		if c.current() != nil {
			pause = crdsMending
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// look compares, if what is served changed. While the API server can't be asked, the last verdict holds.
func (c *crds) look(ctx context.Context) {
	served, lacking, err := c.compare()
	switch {
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		// Every user may read this, unless an administrator takes it away.
		log.FromContext(ctx).Error(err, "CRDs can't be compared with this controller, assuming they are current")
		served, lacking = "", nil
	case err != nil:
		log.FromContext(ctx).V(1).Info("CRDs can't be compared now", "error", err.Error())
		return
	case c.known(served):
		return
	}
	c.served = served
	c.set(ctx, lacking)
	c.compared()
}

func (c *crds) set(ctx context.Context, err error) {
	c.mu.Lock()
	before := c.err
	changed := (before == nil) != (err == nil) || (err != nil && err.Error() != before.Error())
	if c.err = err; changed {
		c.told = map[types.NamespacedName]bool{}
	}
	c.mu.Unlock()
	switch {
	case changed && err != nil:
		log.FromContext(ctx).Error(err, "CRDs don't fit this controller")
	case changed:
		log.FromContext(ctx).Info("CRDs fit this controller")
	}
}

// current is why nothing may be done, nil if all is well.
func (c *crds) current() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ready is the check of /readyz.
func (c *crds) ready(*http.Request) error { return c.current() }

// tells says whether people haven't heard of it for this map yet.
func (c *crds) tells(name types.NamespacedName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := !c.told[name]
	c.told[name] = true
	return fresh
}

// known says whether this was compared before, and fits. The list of the served APIs lags behind what it
// leads to, so what doesn't fit is read again each time.
func (c *crds) known(served string) bool {
	return served != "" && served == c.served && c.current() == nil
}

// compare returns a mark of what is served, and what it lacks.
func (c *crds) compare() (served string, lacking, err error) {
	paths, err := c.server.Paths()
	if err != nil {
		return "", nil, fmt.Errorf("list the served APIs: %w", err)
	}
	group, ok := paths["apis/"+v1alpha1.GroupVersion.String()]
	if !ok {
		return "", fmt.Errorf("the CRDs of %s aren't installed: %s", v1alpha1.GroupVersion, howToUpgrade), nil
	}
	served = group.ServerRelativeURL()
	if c.known(served) {
		return served, nil, nil
	}
	text, err := group.Schema(runtime.ContentTypeJSON)
	if err != nil {
		return "", nil, fmt.Errorf("read the schema of %s: %w", v1alpha1.GroupVersion, err)
	}
	var document spec3.OpenAPI
	if err := json.Unmarshal(text, &document); err != nil {
		return "", nil, fmt.Errorf("read the schema of %s: %w", v1alpha1.GroupVersion, err)
	}
	if document.Components == nil {
		return "", nil, fmt.Errorf("the schema of %s is empty", v1alpha1.GroupVersion)
	}
	return served, lackingIn(document.Components.Schemas), nil
}

const howToUpgrade = "upgrade them with this release's chart, or by kubectl apply --server-side -f config/crd/bases"

// lackingIn says which CRDs lack fields of this controller's types.
func lackingIn(schemas map[string]*spec.Schema) error {
	var lacking []string
	for _, kind := range kinds {
		t := reflect.TypeOf(kind).Elem()
		crd := strings.ToLower(t.Name()) + "s." + v1alpha1.GroupVersion.Group
		schema := schemas["io.bpfmap."+v1alpha1.GroupVersion.Version+"."+t.Name()]
		if schema == nil {
			lacking = append(lacking, crd+" isn't installed")
			continue
		}
		fields := missingFields(t, schema)
		if len(fields) == 0 {
			continue
		}
		// Those at the top tell people most about what they would lose, and schemas have many fields.
		slices.SortStableFunc(fields, func(a, b string) int { return cmp.Compare(strings.Count(a, "."), strings.Count(b, ".")) })
		more := ""
		if n := len(fields) - maxMissing; n > 0 {
			fields, more = fields[:maxMissing], fmt.Sprintf(" and %d more", n)
		}
		lacking = append(lacking, crd+" lacks "+strings.Join(fields, ", ")+more)
	}
	if len(lacking) == 0 {
		return nil
	}
	return fmt.Errorf("the cluster's CRDs are older than this controller, which does nothing until they are upgraded, "+
		"because the API server would drop fields: %s: %s", strings.Join(lacking, "; "), howToUpgrade)
}

// waitForCRDs puts a map off while the CRDs don't fit, and tells people once.
func (r *reconciler) waitForCRDs(ctx context.Context, name types.NamespacedName, why error) (reconcile.Result, error) {
	var m v1alpha1.BPFMap
	err := r.client.Get(ctx, name, &m)
	if err == nil && r.crds.tells(name) {
		process.Emit(r.events, m.ObjectMeta, process.Event{
			Type: corev1.EventTypeWarning, Reason: reasonCRDsOutdated, Action: actionCompile, Note: why.Error(),
		})
	}
	return reconcile.Result{RequeueAfter: crdsMending}, client.IgnoreNotFound(err)
}
