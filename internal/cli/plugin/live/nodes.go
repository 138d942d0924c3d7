// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// inParallel is how many nodes are asked at a time.
	inParallel = 16
	// defaultNodeTimeout is how long each node may take.
	defaultNodeTimeout = 30 * time.Second
	// tokenLifetime is the shortest that the API server makes.
	tokenLifetime = 10 * time.Minute
)

// A node whose agent restarted a moment ago has written its new certificate soon.
const (
	certificateTries = 5
	certificatePause = time.Second
)

// flags say which nodes are asked, and as whom.
type flags struct {
	factory *kube.Factory
	dial    Dial
	nodes   []string
	timeout time.Duration
	account string
}

func (f *flags) add(c *cobra.Command, usage string) {
	c.Flags().StringSliceVar(&f.nodes, "node", nil, usage)
	c.Flags().DurationVar(&f.timeout, "node-timeout", defaultNodeTimeout, "how long each node may take to answer")
	c.Flags().StringVar(&f.account, "service-account", "", "NAMESPACE/NAME of a service account to read as, by a token that is good for agents alone and for ten minutes (needs the right to create serviceaccounts/token)")
	_ = c.RegisterFlagCompletionFunc("node", f.factory.CompleteNodes) // fails only for a flag that doesn't exist
}

// cluster is a connection to the nodes' agents.
type cluster struct {
	reader      client.Reader
	credentials *rest.Config
	dial        Dial
	timeout     time.Duration
	states      []v1alpha1.BPFNodeState

	mu     sync.Mutex
	agents map[string]*agent
}

// connect reads which nodes there are. Nothing is sent to them yet.
func (f *flags) connect(ctx context.Context) (*cluster, error) {
	config, err := f.factory.RESTConfig()
	if err != nil {
		return nil, err
	}
	if config.Impersonate.UserName != "" || len(config.Impersonate.Groups) > 0 {
		return nil, local.Usagef("--as: agents answer those who ask themselves: use the kubeconfig of that user, or --service-account")
	}
	reader, err := f.factory.Client()
	if err != nil {
		return nil, err
	}
	credentials := config
	if f.account != "" {
		if credentials, err = tokenFor(ctx, config, f.account); err != nil {
			return nil, err
		}
	}
	states, err := f.states(ctx, reader)
	if err != nil {
		return nil, err
	}
	dial := f.dial
	if dial == nil {
		dial = forwardTo(config)
	}
	return &cluster{reader: reader, credentials: credentials, dial: dial, timeout: f.timeout, states: states, agents: map[string]*agent{}}, nil
}

// states are those of the named nodes, or of all.
func (f *flags) states(ctx context.Context, reader client.Reader) ([]v1alpha1.BPFNodeState, error) {
	if len(f.nodes) == 0 {
		return kube.ListNodeStates(ctx, reader)
	}
	var states []v1alpha1.BPFNodeState
	names := slices.Clone(f.nodes)
	slices.Sort(names)
	names = slices.Compact(names)
	listed := map[string]v1alpha1.BPFNodeState{}
	if len(names) > inParallel { // one request in place of many; who may only get some asks for each
		all, err := kube.ListNodeStates(ctx, reader)
		for i := range all {
			listed[all[i].Name] = all[i]
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if state, ok := listed[name]; ok {
			states = append(states, state)
			continue
		}
		state, err := getState(ctx, reader, name)
		if err != nil {
			return nil, err
		}
		states = append(states, *state)
	}
	return states, nil
}

func getState(ctx context.Context, reader client.Reader, name string) (*v1alpha1.BPFNodeState, error) {
	state := &v1alpha1.BPFNodeState{}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, state)
	return state, kube.Request{Verb: "get", Resource: "bpfnodestates", Group: v1alpha1.GroupVersion.Group, Name: name, Purpose: "finding the agent of a node"}.Error(err)
}

// tokenFor are the credentials of a service account for agents alone.
func tokenFor(ctx context.Context, config *rest.Config, account string) (*rest.Config, error) {
	namespace, name, found := strings.Cut(account, "/")
	if !found || namespace == "" || name == "" {
		return nil, local.Usagef("--service-account %s: must be NAMESPACE/NAME", account)
	}
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	seconds := int64(tokenLifetime / time.Second)
	request, err := core.ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{contents.Audience}, ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, kube.Request{
			Verb: "create", Resource: "serviceaccounts/token", Namespace: namespace, Name: name, Purpose: "reading as service account " + account,
		}.Error(err)
	}
	credentials := rest.AnonymousClientConfig(config)
	credentials.BearerToken = request.Status.Token
	return credentials, nil
}

// with narrows the nodes down to those that are to have the map of a BPFMap, unless they were named.
func (c *cluster) with(key revision.Key) {
	c.states = slices.DeleteFunc(c.states, func(s v1alpha1.BPFNodeState) bool {
		return !slices.ContainsFunc(s.Status.Maps, func(m v1alpha1.NodeMap) bool { return m.Namespace == key.Namespace && m.Name == key.Name })
	})
}

// names are those of the nodes.
func (c *cluster) names() []string {
	names := make([]string, len(c.states))
	for i := range c.states {
		names[i] = c.states[i].Name
	}
	return names
}

// close ends all connections.
func (c *cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.agents {
		a.close()
	}
}

// failure is a node that didn't answer, and why.
type failure struct {
	Node  string `json:"node"`
	Error string `json:"error"`
	err   error
}

// each asks the nodes with these names, some at a time, each within the timeout, and returns those that failed, sorted.
func (c *cluster) each(ctx context.Context, names []string, ask func(ctx context.Context, a *agent) error) []failure {
	return c.eachFor(ctx, c.timeout, names, ask)
}

func (c *cluster) eachFor(ctx context.Context, timeout time.Duration, names []string, ask func(ctx context.Context, a *agent) error) []failure {
	var mu sync.Mutex
	var failed []failure
	var running sync.WaitGroup
	slots := make(chan struct{}, inParallel)
	for _, name := range names {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := c.on(ctx, timeout, name, ask); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, failure{name, err.Error(), err})
			}
		})
	}
	running.Wait()
	slices.SortFunc(failed, func(a, b failure) int { return cmp.Compare(a.Node, b.Node) })
	return failed
}

// on asks one node. An agent that restarted shows another certificate than its last report named: its next report is waited for.
func (c *cluster) on(ctx context.Context, timeout time.Duration, name string, ask func(ctx context.Context, a *agent) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s (--node-timeout)", timeout))
	defer cancel()
	for try := 1; ; try++ {
		a, err := c.agent(name)
		if err != nil {
			return err
		}
		err = ask(ctx, a)
		if !isStale(err) || try == certificateTries {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case <-time.After(certificatePause):
		}
		if err := c.reread(ctx, name); err != nil {
			return err
		}
	}
}

// isStale says whether an error may come from an endpoint that isn't there any more: of an agent that restarted, or of a pod
// that was replaced.
func isStale(err error) bool {
	return errors.Is(err, errWrongCertificate) || err != nil && strings.HasPrefix(err.Error(), dialing) && strings.Contains(err.Error(), "not found")
}

// agent is the client of a node's agent.
func (c *cluster) agent(name string) (*agent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.agents[name]; a != nil {
		return a, nil
	}
	i := slices.IndexFunc(c.states, func(s v1alpha1.BPFNodeState) bool { return s.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no BPFNodeState %s", name)
	}
	at := c.states[i].Status.Contents
	if at == nil {
		return nil, errors.New("its agent doesn't let contents be read: the chart's value agent.contents.enabled lets it")
	}
	a, err := newAgent(name, c.credentials, at.DeepCopy(), c.dial)
	if err == nil {
		c.agents[name] = a
	}
	return a, err
}

// reread reads where a node's agent is now.
func (c *cluster) reread(ctx context.Context, name string) error {
	state, err := getState(ctx, c.reader, name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.agents[name]; a != nil {
		a.close()
		delete(c.agents, name)
	}
	for i := range c.states {
		if c.states[i].Name == name {
			c.states[i] = *state
		}
	}
	return nil
}

// printFailures says on standard error which nodes failed, and why.
func printFailures(c *cobra.Command, failed []failure) {
	byReason := map[string][]string{}
	var reasons []string
	for _, f := range failed {
		if byReason[f.Error] == nil {
			reasons = append(reasons, f.Error)
		}
		byReason[f.Error] = append(byReason[f.Error], f.Node)
	}
	for _, reason := range reasons {
		c.PrintErrf("Error: %s: %s\n", nodeList(byReason[reason]), reason)
	}
}

// maxNamed is how many nodes are named in a line.
const maxNamed = 8

// nodeList is "node a", or "nodes a, b, c and 4 more".
func nodeList(names []string) string {
	if len(names) == 1 {
		return "node " + names[0]
	}
	if more := len(names) - maxNamed; more > 0 {
		return "nodes " + strings.Join(names[:maxNamed], ", ") + " and " + text.Count(more, "more", "more")
	}
	return "nodes " + strings.Join(names, ", ")
}
