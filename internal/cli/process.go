// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// logFlags are how a process logs.
type logFlags struct{ level, format string }

// addProcessFlags adds the flags that the controller and the agent share.
func addProcessFlags(c *cobra.Command, o *process.Options, l *logFlags) {
	f := c.Flags()
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, or the pod's service account)")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", process.Disabled,
		"host:port that serves /metrics; 0 serves none")
	f.BoolVar(&o.MetricsSecure, "metrics-secure", true,
		"serve metrics by HTTPS and only to tokens that may get /metrics (needs the cluster role system:auth-delegator)")
	f.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", process.Disabled,
		"host:port that serves /healthz and /readyz; 0 serves none")
	f.StringVar(&l.level, "log-level", "info", "least level that is logged: debug, info, warn, error")
	f.StringVar(&l.format, "log-format", "text", "text or json")
	o.Version = version
}

// use starts the process's log.
func (l logFlags) use(c *cobra.Command) error {
	logger, err := process.Logger(c.ErrOrStderr(), l.level, l.format)
	if err != nil {
		return err
	}
	process.UseLogger(logger)
	return nil
}
