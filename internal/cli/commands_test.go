// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/removal"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// execute runs one command with args.
func execute(t *testing.T, c *cobra.Command, args ...string) error {
	t.Helper()
	c.SetArgs(args)
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	c.SilenceErrors, c.SilenceUsage = true, true
	return c.ExecuteContext(t.Context())
}

// allSet fails for flags that args don't set, so that a new flag needs a row here.
func allSet(t *testing.T, c *cobra.Command) {
	t.Helper()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed && f.Name != "help" {
			t.Errorf("the test doesn't set --%s", f.Name)
		}
	})
}

func processOptions() process.Options {
	return process.Options{
		Kubeconfig: "/k", MetricsBindAddress: ":1", MetricsSecure: false, HealthProbeBindAddress: ":2",
		MetricsPerMap: 3, MetricsCertDir: "/tls", Namespaces: process.Namespaces{"a", "b"}, Version: version, Revision: commit,
	}
}

var processArgs = []string{
	"--kubeconfig=/k", "--metrics-bind-address=:1", "--metrics-secure=false", "--health-probe-bind-address=:2",
	"--log-level=error", "--log-format=json", "--metrics-per-map=3", "--metrics-cert-dir=/tls", "--watch-namespaces=a,b",
}

func TestControllerFlags(t *testing.T) {
	var got cluster.Options
	keep := func(_ context.Context, o cluster.Options) error { got = o; return nil }
	if err := execute(t, newController(keep)); err != nil {
		t.Fatal(err)
	}
	want := cluster.Options{
		Options:     process.Options{MetricsBindAddress: "0", MetricsSecure: true, HealthProbeBindAddress: "0", MetricsPerMap: 1000, Version: version, Revision: commit},
		Concurrency: 4, RevisionHistoryLimit: 5, MaxStoredBytesPerMap: 64 << 20, MaxStoredBytesPerNamespace: 512 << 20,
		Fetch: cluster.FetchOptions{MinInterval: time.Minute, CacheBytes: 2 << 30, ArtifactHosts: cluster.DefaultArtifactHosts},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without flags (-want +got)\n%s", diff)
	}

	c := newController(keep)
	err := execute(t, c, append(processArgs, "--leader-elect", "--secret-sources", "--namespace=ns", "--agent-daemonset=agents", "--concurrency=7", "--revision-history-limit=3",
		"--max-stored-bytes-per-map=1Mi", "--max-stored-bytes-per-namespace=2Mi",
		"--allowed-source-hosts=a.test,*.b.test", "--allowed-source-networks=10.0.0.0/8", "--min-source-interval=5m", "--source-cache-dir=/c",
		"--source-cache-size=1Gi", "--source-proxy=http://p:3128", "--artifact-sources", "--artifact-hosts=flux.test")...)
	if err != nil {
		t.Fatal(err)
	}
	allSet(t, c)
	want = cluster.Options{Options: processOptions(), LeaderElect: true, Secrets: true, Namespace: "ns", AgentDaemonSet: "agents", Concurrency: 7, RevisionHistoryLimit: 3,
		MaxStoredBytesPerMap: 1 << 20, MaxStoredBytesPerNamespace: 2 << 20,
		Fetch: cluster.FetchOptions{
			AllowedHosts: []string{"a.test", "*.b.test"}, AllowedNetworks: []string{"10.0.0.0/8"}, MinInterval: 5 * time.Minute,
			CacheDir: "/c", CacheBytes: 1 << 30, Proxy: "http://p:3128", Artifacts: true, ArtifactHosts: []string{"flux.test"},
		}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with all flags (-want +got)\n%s", diff)
	}
}

func TestControllerRefuses(t *testing.T) {
	never := func(context.Context, cluster.Options) error { t.Error("the controller was started"); return nil }
	for want, args := range map[string][]string{
		"--max-stored-bytes-per-map":                 {"--max-stored-bytes-per-map=0"},
		"--max-stored-bytes-per-namespace":           {"--max-stored-bytes-per-namespace=-1"},
		"invalid value 1Mi of --source-cache-size":   {"--source-cache-size=1Mi"},
		"unknown flag: --revision-history":           {"--revision-history=1"},
		"invalid log level \"loud\": must be one of": {"--log-level=loud"},
	} {
		if err := execute(t, newController(never), args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// TestWatchedNamespaces refuses what isn't a list of namespaces, by name, in every process that has the flag.
func TestWatchedNamespaces(t *testing.T) {
	many := make([]string, process.MaxWatchedNamespaces+1)
	for i := range many {
		many[i] = fmt.Sprint("ns-", i)
	}
	for value, want := range map[string]string{
		"":                          "name is empty",
		"a,":                        "name is empty",
		"a,b,a":                     "namespace a is listed twice",
		"A":                         `"A" is not a valid name of a namespace`,
		"a.b":                       `"a.b" is not a valid name of a namespace`,
		"*":                         `"*" is not a valid name of a namespace`,
		strings.Repeat("a", 64):     "63",
		strings.Join(many, ","):     "101 namespaces: at most 100",
		strings.Join(many[1:], ","): "",
		"a":                         "",
	} {
		for name, run := range map[string]func(arg string) error{
			"controller": func(arg string) error {
				return execute(t, newController(func(context.Context, cluster.Options) error { return nil }), arg)
			},
			"agent": func(arg string) error {
				return execute(t, newAgent(func(context.Context, agent.Options) error { return nil }), "--node-name=n", arg)
			},
			"mark-removed": func(arg string) error {
				return execute(t, newMarkRemoved(func(context.Context, removal.Options) error { return nil }), arg)
			},
		} {
			err := run("--watch-namespaces=" + value)
			if want == "" && err != nil {
				t.Errorf("%s: %q is refused: %v", name, value, err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--watch-namespaces")) {
				t.Errorf("%s: %q: %v, want an error that names the flag and %q", name, value, err, want)
			}
		}
	}
}

func TestMarkRemovedFlags(t *testing.T) {
	var got removal.Options
	keep := func(_ context.Context, o removal.Options) error { got = o; return nil }
	if err := execute(t, newMarkRemoved(keep)); err != nil {
		t.Fatal(err)
	}
	if want := (removal.Options{Options: process.Options{Version: version}, Timeout: 5 * time.Minute}); !cmp.Equal(got, want) {
		t.Errorf("without flags: %+v, want %+v", got, want)
	}
	c := newMarkRemoved(keep)
	if err := execute(t, c, "--kubeconfig=/k", "--timeout=1m", "--watch-namespaces=a,b", "--log-level=error", "--log-format=json"); err != nil {
		t.Fatal(err)
	}
	allSet(t, c)
	if want := (removal.Options{Options: process.Options{Kubeconfig: "/k", Version: version, Namespaces: process.Namespaces{"a", "b"}}, Timeout: time.Minute}); !cmp.Equal(got, want) {
		t.Errorf("with all flags: %+v, want %+v", got, want)
	}
	if err := execute(t, newMarkRemoved(keep), "--log-level=loud"); err == nil {
		t.Error("it takes a log level that doesn't exist")
	}
}

func TestAgentFlags(t *testing.T) {
	t.Setenv("NODE_NAME", "from-env")
	var got agent.Options
	keep := func(_ context.Context, o agent.Options) error { got = o; return nil }
	if err := execute(t, newAgent(keep)); err != nil {
		t.Fatal(err)
	}
	want := agent.Options{
		Options:  process.Options{MetricsBindAddress: "0", MetricsSecure: true, HealthProbeBindAddress: "0", MetricsPerMap: 1000, Version: version, Revision: commit},
		NodeName: "from-env", ResyncPeriod: 5 * time.Minute, Concurrency: 4, ContentSeries: 10000,
		Contents: agent.ContentsOptions{BindAddress: "0"},
	}
	noHost := cmp.Options{cmpopts.IgnoreFields(agent.Options{}, "Host", "ReadContents"), cmpopts.IgnoreFields(agent.ContentsOptions{}, "Node")}
	if diff := cmp.Diff(want, got, noHost); diff != "" {
		t.Errorf("without flags (-want +got)\n%s", diff)
	}
	if got.ReadContents == nil {
		t.Error("nothing reads maps for metrics")
	}
	if h := got.Host.(*host); h.bpffs != "/sys/fs/bpf" || h.root != "" || h.cgroups != "/sys/fs/cgroup" || !h.network {
		t.Errorf("without flags: %+v", h)
	}

	c := newAgent(keep)
	err := execute(t, c, append(processArgs,
		"--node-name=n", "--bpffs=/b", "--host-root=/h", "--cgroup-root=/c", "--host-network=false", "--resync-period=1m", "--concurrency=3", "--inventory",
		"--metrics-content-series=7",
		"--disable-features=", "--allowed-pin-prefix=edge=tc/globals", "--memory-limit=2Gi",
		"--namespace-memory-limit=edge=1Mi", "--namespace-memory-limit=*=2Mi", "--namespace-map-limit=edge=9",
		"--contents-bind-address=127.0.0.1:8444", "--pod-namespace=s", "--pod-name=p")...)
	if err != nil {
		t.Fatal(err)
	}
	allSet(t, c)
	want = agent.Options{
		Options: processOptions(), NodeName: "n", ResyncPeriod: time.Minute, InventoryPeriod: time.Minute, Concurrency: 3, ContentSeries: 7,
		Contents: agent.ContentsOptions{BindAddress: "127.0.0.1:8444", Pod: types.NamespacedName{Namespace: "s", Name: "p"}},
	}
	if diff := cmp.Diff(want, got, noHost); diff != "" {
		t.Errorf("with all flags (-want +got)\n%s", diff)
	}
	h := got.Host.(*host)
	if h.bpffs != "/b" || h.root != "/h" || h.cgroups != "/c" || h.network {
		t.Errorf("with all flags: %+v", h)
	}
	edge := revision.Key{Namespace: "edge", Name: "m"}
	if err := h.prefixes.Allow(edge, "tc/globals/m"); err != nil {
		t.Error(err)
	}
	if err := h.prefixes.Allow(edge, "xdp/m"); err == nil {
		t.Error("xdp/m is allowed")
	}
	limits, err := quota.Parse("2Gi", []string{"edge=1Mi", "*=2Mi"}, []string{"edge=9"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(limits, h.limits, cmp.AllowUnexported(quota.Limits{})); diff != "" {
		t.Errorf("limits (-want +got)\n%s", diff)
	}
}

func TestAgentRefuses(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	never := func(context.Context, agent.Options) error { t.Error("the agent was started"); return nil }
	for want, args := range map[string][]string{
		"--metrics-content-series -1: must be 0 or":       {"--node-name=n", "--metrics-content-series=-1"},
		"--node-name or $NODE_NAME is required":           nil,
		"--resync-period 1ms: must be at least 10ms":      {"--node-name=n", "--resync-period=1ms"},
		"invalid log level \"loud\": must be one of":      {"--node-name=n", "--log-level=loud"},
		"invalid log format \"xml\": must be one of":      {"--node-name=n", "--log-format=xml"},
		"--disable-features: ":                            {"--node-name=n", "--disable-features=Unheard"},
		"edge":                                            {"--node-name=n", "--allowed-pin-prefix=edge"},
		"--contents-bind-address 8444: must be host:port": {"--node-name=n", "--contents-bind-address=8444"},
		"--contents-bind-address needs --pod-namespace":   {"--node-name=n", "--contents-bind-address=127.0.0.1:8444", "--pod-name=p", "--pod-namespace="},
		"2Gigs":                        {"--node-name=n", "--memory-limit=2Gigs"},
		"unknown command":              {"--node-name=n", "argument"},
		"unknown flag: --node-network": {"--node-network"},
		`invalid argument "many" for "--concurrency" f`: {"--concurrency=many"},
	} {
		if err := execute(t, newAgent(never), args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// TestRun runs commands as main does.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		args        []string
		code        int
		out, errOut string
	}{
		{[]string{"--version"}, 0, "bpfmap version " + version + "\n", ""},
		{[]string{"unheard"}, 2, "", "Error: unknown command \"unheard\" for \"bpfmap\"\nSee \"bpfmap --help\".\n"},
		{[]string{"map", "unheard"}, 2, "", "Error: unknown command \"unheard\" for \"bpfmap map\"\nSee \"bpfmap map --help\".\n"},
		{[]string{"dump"}, 2, "", "Error: a map is needed: NAMESPACE/NAME, -f, --pin or --id\nSee \"bpfmap dump --help\".\n"},
		{[]string{"diff", "--bpffs", filepath.Join(t.TempDir(), "none"), "-f", "none.yaml"}, 2, "", "none.yaml"},
	} {
		var out, errOut bytes.Buffer
		code := Run(t.Context(), c.args, strings.NewReader(""), &out, &errOut)
		if code != c.code || out.String() != c.out || !strings.Contains(errOut.String(), c.errOut) || (c.errOut == "" && errOut.Len() > 0) {
			t.Errorf("%v: exit code %d, output %q, standard error %q", c.args, code, out.String(), errOut.String())
		}
	}
}
