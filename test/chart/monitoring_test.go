// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// withMonitoring are the values by which the chart makes everything about metrics.
var withMonitoring = []string{
	"metrics.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true", "metrics.dashboard.enabled=true",
}

// TestMonitoringObjectsAreValid reads the Prometheus Operator's objects by its own types, strictly.
func TestMonitoringObjectsAreValid(t *testing.T) {
	for way, manifests := range map[string]string{
		"chart":  helmTemplate(t, append(withMonitoring, "metrics.serviceMonitor.interval=30s", "metrics.serviceMonitor.labels.release=p", "metrics.prometheusRule.labels.release=p")...),
		"config": kustomizeWith(t, "monitoring", ""),
	} {
		counts := map[string]int{}
		for _, object := range parse(t, manifests) {
			var into any
			switch object.GetKind() {
			case "ServiceMonitor":
				into = &monitoringv1.ServiceMonitor{}
			case "PrometheusRule":
				into = &monitoringv1.PrometheusRule{}
			default:
				continue
			}
			counts[object.GetKind()]++
			text, err := yaml.Marshal(object.Object)
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(text, into); err != nil {
				t.Errorf("%s: %s %s: %v", way, object.GetKind(), object.GetName(), err)
			}
			if way == "chart" && object.GetLabels()["release"] != "p" {
				t.Errorf("%s %s has no label release", object.GetKind(), object.GetName())
			}
		}
		if diff := cmp.Diff(map[string]int{"ServiceMonitor": 2, "PrometheusRule": 1}, counts); diff != "" {
			t.Errorf("%s (-want +got)\n%s", way, diff)
		}
	}
}

// withPodMonitors are the values by which the chart makes what config/podmonitors does.
var withPodMonitors = []string{
	"metrics.enabled=true", "metrics.podMonitor.enabled=true", "metrics.podMonitor.tokenSecret.name=bpfmap-scraper,metrics.podMonitor.tokenSecret.key=token",
	"metrics.prometheusRule.enabled=true", "metrics.dashboard.enabled=true",
}

// TestBothWaysMonitorTheSame compares what both ways add for metrics, by ServiceMonitors, by PodMonitors, and with
// a certificate.
func TestBothWaysMonitorTheSame(t *testing.T) {
	added := func(with, without string) map[string]any {
		// A chart's pods can be told from those of another release, config/default's can't.
		with = regexp.MustCompile(`(?m)^ *app\.kubernetes\.io/instance: .*\n`).ReplaceAllString(with, "")
		result := essence(t, with)
		for name := range essence(t, without) {
			delete(result, name)
		}
		return result
	}
	overlays := map[string]string{
		"monitoring":  kustomizeOverlay(t, docs.ShownBy(t, "docs/operations.md").Next().Text),
		"podmonitors": kustomizeWith(t, "podmonitors", ""),
		"metricstls":  kustomizeWith(t, "metricstls", ""),
	}
	for component, values := range map[string][]string{
		"monitoring": withMonitoring, "podmonitors": withPodMonitors, "metricstls": append(slices.Clone(withMonitoring), "metrics.tls.secretName=bpfmap-metrics-tls"),
	} {
		byChart, byConfig := helmTemplate(t, values...), overlays[component]
		chart, config := added(byChart, helmTemplate(t)), added(byConfig, kustomize(t))
		if diff := cmp.Diff(chart, config); diff != "" {
			t.Errorf("what config/%s adds differs (-chart +config):\n%s", component, diff)
		}
		if len(chart) != 9 {
			t.Errorf("%d objects are added", len(chart))
		}
		for kind, suffix := range map[string]string{"Deployment": "-controller", "DaemonSet": "-agent"} {
			if diff := cmp.Diff(certificateOf(t, find(t, parse(t, byChart), kind, suffix)), certificateOf(t, find(t, parse(t, byConfig), kind, suffix))); diff != "" {
				t.Errorf("the certificate of the %s of config/%s differs (-chart +config):\n%s", kind, component, diff)
			}
			got := metricsFlags(t, find(t, parse(t, byConfig), kind, suffix))
			for _, want := range metricsFlags(t, find(t, parse(t, byChart), kind, suffix)) {
				if !slices.Contains(got, want) {
					t.Errorf("the %s of config/%s has %v, not %s", kind, component, got, want)
				}
			}
		}
	}
}

// certificateOf is the volume with the metrics' certificate of an object's pods, and its mount; empty if there is none.
func certificateOf(t *testing.T, object *unstructured.Unstructured) (parts []any) {
	t.Helper()
	pod := at(t, object, "spec", "template", "spec").(map[string]any)
	container := pod["containers"].([]any)[0].(map[string]any)
	for _, list := range []any{pod["volumes"], container["volumeMounts"]} {
		named, _ := list.([]any)
		for _, p := range named {
			if p.(map[string]any)["name"] == "metrics-tls" {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// metricsFlags are the flags about metrics of an object's first container, the last one of each name.
func metricsFlags(t *testing.T, object *unstructured.Unstructured) []string {
	t.Helper()
	last := map[string]string{}
	container := at(t, object, "spec", "template", "spec", "containers").([]any)[0].(map[string]any)
	for _, arg := range container["args"].([]any) {
		if name, _, _ := strings.Cut(arg.(string), "="); strings.HasPrefix(name, "--metrics-") {
			last[name] = arg.(string)
		}
	}
	var flags []string
	for _, flag := range last {
		flags = append(flags, flag)
	}
	return flags
}

// TestServicesAreFound wants each ServiceMonitor to select the component's Service, and that the component's
// pods.
func TestServicesAreFound(t *testing.T) {
	for way, manifests := range map[string]string{"chart": helmTemplate(t, withMonitoring...), "config": kustomizeWith(t, "monitoring", "")} {
		objects := parse(t, manifests)
		for component, kind := range map[string]string{"controller": "Deployment", "agent": "DaemonSet"} {
			monitor := find(t, objects, "ServiceMonitor", "-"+component)
			service := find(t, objects, "Service", component+"-metrics")
			pods := at(t, find(t, objects, kind, "-"+component), "spec", "template", "metadata", "labels").(map[string]any)
			for label, value := range at(t, monitor, "spec", "selector", "matchLabels").(map[string]any) {
				if service.GetLabels()[label] != value {
					t.Errorf("%s: the ServiceMonitor of the %s wants %s=%v of Services, the Service has %v", way, component, label, value, service.GetLabels())
				}
			}
			for label, value := range at(t, service, "spec", "selector").(map[string]any) {
				if pods[label] != value {
					t.Errorf("%s: the Service of the %s wants %s=%v of pods, they have %v", way, component, label, value, pods)
				}
			}
		}
	}
}

// TestMonitorsWithoutTLS wants plain scrapes where the components serve them.
func TestMonitorsWithoutTLS(t *testing.T) {
	objects := parse(t, helmTemplate(t, append(withMonitoring, "metrics.secure=false")...))
	endpoint := at(t, find(t, objects, "ServiceMonitor", "-agent"), "spec", "endpoints").([]any)[0].(map[string]any)
	if endpoint["scheme"] != nil || endpoint["bearerTokenFile"] != nil {
		t.Errorf("the endpoint is %v", endpoint)
	}
	_, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--set", "metrics.serviceMonitor.enabled=true")
	if err == nil || !strings.Contains(err.Error(), "metrics.serviceMonitor.enabled needs metrics.enabled") {
		t.Errorf("a ServiceMonitor without metrics: %v", err)
	}
}

// TestPodMonitors are what the Prometheus Operator takes, select the components' pods by a port that they have, and
// exclude ServiceMonitors, which would scrape the same pods once more.
func TestPodMonitors(t *testing.T) {
	objects := parse(t, helmTemplate(t, append(withPodMonitors, "metrics.podMonitor.interval=30s")...))
	for component, kind := range map[string]string{"controller": "Deployment", "agent": "DaemonSet"} {
		monitor, workload := find(t, objects, "PodMonitor", "-"+component), find(t, objects, kind, "-"+component)
		text, err := yaml.Marshal(monitor.Object)
		if err != nil {
			t.Fatal(err)
		}
		var typed monitoringv1.PodMonitor
		if err := yaml.UnmarshalStrict(text, &typed); err != nil {
			t.Fatalf("%s: %v", component, err)
		}
		pods := at(t, workload, "spec", "template", "metadata", "labels").(map[string]any)
		for label, value := range typed.Spec.Selector.MatchLabels {
			if pods[label] != value {
				t.Errorf("the PodMonitor of the %s wants %s=%v of pods, they have %v", component, label, value, pods)
			}
		}
		endpoint := typed.Spec.PodMetricsEndpoints[0]
		ports := at(t, workload, "spec", "template", "spec", "containers").([]any)[0].(map[string]any)["ports"].([]any)
		if !slices.ContainsFunc(ports, func(p any) bool { return p.(map[string]any)["name"] == *endpoint.Port }) {
			t.Errorf("the %s has no port %s", component, *endpoint.Port)
		}
		if !endpoint.HonorLabels || endpoint.Authorization == nil || endpoint.Authorization.Credentials.Name != "bpfmap-scraper" || endpoint.Interval != "30s" {
			t.Errorf("the endpoint of the %s is %+v", component, endpoint)
		}
	}
	for set, want := range map[string]string{
		"metrics.podMonitor.enabled=true": "metrics.podMonitor.enabled needs metrics.enabled",
		"metrics.enabled=true,metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true": "exclude each other",
	} {
		if _, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--set", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// TestDashboardIsTheFile wants the ConfigMap to hold the dashboard as it is, not as a template engine likes it.
func TestDashboardIsTheFile(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	config := find(t, parse(t, helmTemplate(t, withMonitoring...)), "ConfigMap", "-dashboard")
	if diff := cmp.Diff(string(want), at(t, config, "data", "bpfmap-operator.json")); diff != "" {
		t.Errorf("the chart's dashboard differs (-file +chart)\n%s", diff)
	}
	if !json.Valid(want) {
		t.Error("the dashboard isn't JSON")
	}
}

// TestMonitorsCheckTheCertificate: with a certificate of one's own, monitors check it, by an authority and for the name of the
// component's Service, and both processes serve it.
func TestMonitorsCheckTheCertificate(t *testing.T) {
	for kind, values := range map[string][]string{
		"ServiceMonitor": {"metrics.serviceMonitor.enabled=true"},
		"PodMonitor":     {"metrics.podMonitor.enabled=true", "metrics.podMonitor.tokenSecret.name=t,metrics.podMonitor.tokenSecret.key=token"},
	} {
		objects := parse(t, helmTemplate(t, append(values, "metrics.enabled=true", "metrics.tls.certificate.enabled=true,metrics.tls.certificate.issuerRef.name=i")...))
		certificate := find(t, objects, "Certificate", "-metrics-tls")
		secret := at(t, certificate, "spec", "secretName").(string)
		for component, owner := range map[string]string{"controller": "Deployment", "agent": "DaemonSet"} {
			text, err := yaml.Marshal(find(t, objects, kind, "-"+component).Object)
			if err != nil {
				t.Fatal(err)
			}
			var config monitoringv1.SafeTLSConfig
			if kind == "ServiceMonitor" {
				var monitor monitoringv1.ServiceMonitor
				if err := yaml.UnmarshalStrict(text, &monitor); err != nil {
					t.Fatal(err)
				}
				config = monitor.Spec.Endpoints[0].TLSConfig.SafeTLSConfig
			} else {
				var monitor monitoringv1.PodMonitor
				if err := yaml.UnmarshalStrict(text, &monitor); err != nil {
					t.Fatal(err)
				}
				config = *monitor.Spec.PodMetricsEndpoints[0].TLSConfig
			}
			name := "bpfmap-operator-" + component + "-metrics." + namespace + ".svc"
			if config.ServerName == nil || *config.ServerName != name || config.InsecureSkipVerify != nil ||
				config.CA.Secret == nil || config.CA.Secret.Name != secret || config.CA.Secret.Key != "ca.crt" {
				t.Errorf("%s of the %s: %+v, want the name %s and the authority of Secret %s", kind, component, config, name, secret)
			}
			if names := at(t, certificate, "spec", "dnsNames").([]any); !slices.Contains(names, any(name)) {
				t.Errorf("the certificate is for %v, not %s", names, name)
			}
			pod := find(t, objects, owner, "-"+component)
			if flags := metricsFlags(t, pod); !slices.Contains(flags, "--metrics-cert-dir=/etc/bpfmap/metrics-tls") {
				t.Errorf("the %s has the flags %v", component, flags)
			}
			if !slices.ContainsFunc(at(t, pod, "spec", "template", "spec", "volumes").([]any), func(v any) bool {
				from, _ := v.(map[string]any)["secret"].(map[string]any)
				return from["secretName"] == secret
			}) {
				t.Errorf("the %s has no volume of Secret %s", component, secret)
			}
		}
	}
}
