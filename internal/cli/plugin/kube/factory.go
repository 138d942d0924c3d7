// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to sign in that kubeconfig files may name, as kubectl has them
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Factory makes connections to the cluster that flags, $KUBECONFIG and ~/.kube/config name, in kubectl's order.
// The zero value isn't usable: New makes one.
type Factory struct {
	// UserAgent is what commands call themselves to the API server.
	UserAgent string
	// Warnings is where the API server's warnings go; nil is nowhere.
	Warnings io.Writer

	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
	config    clientcmd.ClientConfig
}

// New is a factory for a version of this program.
func New(version string) *Factory {
	f := &Factory{UserAgent: "kubectl-bpfmap/" + version, rules: clientcmd.NewDefaultClientConfigLoadingRules()}
	f.rules.DefaultClientConfig = &clientcmd.DefaultClientConfig
	f.config = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, &f.overrides)
	return f
}

// AddFlags adds kubectl's flags: --kubeconfig, --context, --namespace, --as, --request-timeout and so on.
func (f *Factory) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.rules.ExplicitPath, "kubeconfig", "", "path of the kubeconfig file (default $KUBECONFIG or ~/.kube/config)")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.Timeout.Description = "how long one request may take, for example 30s; 0 means no limit"
	names.ContextOverrideFlags.Namespace.Description = "namespace of the request"
	clientcmd.BindOverrideFlags(&f.overrides, fs, names)
	// A plugin gets all arguments behind its name, so that these are its own. Passwords in arguments are no longer kubectl's.
	for _, hidden := range []string{"username", "password", "proxy-url", "disable-compression", "as-uid", "tls-server-name", "certificate-authority",
		"client-certificate", "client-key", "insecure-skip-tls-verify", "token", "user", "cluster", "server"} {
		_ = fs.MarkHidden(hidden) // fails only for a flag that doesn't exist
	}
}

// RESTConfig is the connection, with the caller's rights.
func (f *Factory) RESTConfig() (*rest.Config, error) {
	config, err := f.config.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("there is no kubeconfig: name a file by --kubeconfig or $KUBECONFIG, or write ~/.kube/config")
	}
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1 // the API server's priority and fairness decides who waits
	config.UserAgent = f.UserAgent
	config.WarningHandler = rest.NoWarnings{}
	if f.Warnings != nil {
		config.WarningHandler = rest.NewWarningWriter(f.Warnings, rest.WarningWriterOptions{Deduplicate: true})
	}
	return config, nil
}

// Client reads and writes the kinds of Scheme, without a cache.
func (f *Factory) Client() (client.WithWatch, error) {
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: Scheme(), Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return c, nil
}

// Namespace is that of the flags, else that of the kubeconfig's context, else "default".
func (f *Factory) Namespace() (string, error) {
	namespace, _, err := f.config.Namespace()
	if err != nil {
		return "", fmt.Errorf("read kubeconfig: %w", err)
	}
	return namespace, nil
}

// Named is a client, and the namespace and name of a BPFMap that is named as NAME or NAMESPACE/NAME, as kubectl and the
// operator's messages have it, or with a resource before it: bpfmap/NAME.
func (f *Factory) Named(arg string) (c client.WithWatch, namespace, name string, err error) {
	if namespace, err = f.Namespace(); err != nil {
		return nil, "", "", err
	}
	name = arg
	if before, after, ok := strings.Cut(arg, "/"); ok {
		switch name = after; before {
		case "bpfmap", "bpfmaps", "bmap", "bpfmap.bpfmap.io", "bpfmaps.bpfmap.io":
		default:
			if f.overrides.Context.Namespace != "" && f.overrides.Context.Namespace != before {
				return nil, "", "", fmt.Errorf("%s is in namespace %s, and --namespace is %s", arg, before, f.overrides.Context.Namespace)
			}
			namespace = before
		}
	}
	if msgs := validation.IsDNS1123Subdomain(name); len(msgs) > 0 {
		return nil, "", "", fmt.Errorf("%q is not a valid name of a BPFMap: %s", name, msgs[0])
	}
	c, err = f.Client()
	return c, namespace, name, err
}
