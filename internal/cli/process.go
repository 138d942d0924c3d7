// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/interrupt"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/metrics"
)

// logFlags are how a process logs.
type logFlags struct{ level, format string }

// addProcessFlags adds the flags that the controller and the agent share.
func addProcessFlags(c *cobra.Command, o *process.Options, l *logFlags) {
	f := c.Flags()
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, or the pod's service account)")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", process.Disabled,
		"host:port that serves /metrics; 0 disables it")
	f.BoolVar(&o.MetricsSecure, "metrics-secure", true,
		"serve metrics over HTTPS and only to tokens that are allowed to get /metrics (needs the cluster role system:auth-delegator)")
	f.StringVar(&o.MetricsCertDir, "metrics-cert-dir", "",
		"folder with the certificate that metrics are served with, tls.crt and tls.key, read anew when it changes (default a certificate that the process makes, which nobody can check)")
	f.IntVar(&o.MetricsPerMap, "metrics-per-map", metrics.DefaultPerMap,
		"how many maps get series of their own in the metrics, and further ones are counted only together; 0 is none")
	f.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", process.Disabled,
		"host:port that serves /healthz and /readyz; 0 disables it")
	addNamespacesFlag(c, &o.Namespaces)
	addLogFlags(c, l)
	o.Version, o.Revision = version, commit
}

// namespacesFlag is the flag that confines a process to namespaces.
const namespacesFlag = "watch-namespaces"

func addNamespacesFlag(c *cobra.Command, n *process.Namespaces) {
	c.Flags().StringSliceVar((*[]string)(n), namespacesFlag, nil,
		fmt.Sprintf("namespaces whose BPFMaps are managed, at most %d: others are left as they are, and no rights in them are needed (default all)", process.MaxWatchedNamespaces))
}

// checkNamespaces refuses a list with anything in it that can't be a namespace, or with nothing in it: that would be all of them.
func checkNamespaces(c *cobra.Command, n process.Namespaces) error {
	if c.Flags().Changed(namespacesFlag) && len(n) == 0 {
		n = process.Namespaces{""}
	}
	if err := n.Check(); err != nil {
		return fmt.Errorf("invalid value of --%s: %w", namespacesFlag, err)
	}
	return nil
}

func addLogFlags(c *cobra.Command, l *logFlags) {
	f := c.Flags()
	f.StringVar(&l.level, "log-level", "info", "lowest level that is logged: debug, info, warn or error")
	f.StringVar(&l.format, "log-format", "text", "text or json")
}

// stopGrace is how long a controller or an agent may take to stop. The pods' termination grace period is
// longer, so that it is the process that ends itself.
const stopGrace = 8 * time.Second

// start starts the log of a process that runs until a signal ends it.
func (l logFlags) start(c *cobra.Command) error {
	interrupt.AllowGrace(c.Context(), stopGrace)
	logger, err := process.Logger(c.ErrOrStderr(), l.level, l.format)
	if err != nil {
		return err
	}
	process.UseLogger(logger)
	return nil
}
