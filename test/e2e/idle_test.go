// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostIdle is the goal for the resident memory of an idle process, in MB. It takes half of it.
const mostIdle = 40

// TestIdle measures what the operator costs while nothing happens, and that it writes nothing then.
func TestIdle(t *testing.T) {
	const count, settle, period = 20, 20 * time.Second, time.Minute
	reinstall(t, "metrics.enabled=true", "metrics.secure=false") // a guarded scrape would cost requests
	w := newWorld(t)
	for i := range count {
		w.make(fmt.Sprintf("map-%d", i), contents{1: 10, 2: 20, 3: 30})
	}
	for i := range count {
		w.awaitReady(fmt.Sprintf("map-%d", i), 3)
	}
	time.Sleep(settle) // the lines of events and endpoints that creating leaves behind

	processes := map[string]int{}
	for _, n := range nodes {
		processes["agent of "+n.name] = n.agent(t)
	}
	controllers := component("controller", "controller")
	if len(controllers) != 1 {
		t.Fatalf("controller processes %v, want one", controllers)
	}
	processes["controller"] = controllers[0]

	before, asked, ticks := writes(t), requests(t), map[string]float64{}
	for name, pid := range processes {
		ticks[name] = cpuSeconds(t, pid)
	}
	time.Sleep(period)
	for name, pid := range processes {
		used := cpuSeconds(t, pid) - ticks[name]
		memory := resident(t, pid)
		t.Logf("%s: RSS %.1f MB, CPU %.2f s in %v (%.2f %% of a core)", name, memory, used, period, 100*used/period.Seconds())
		if memory > mostIdle {
			t.Errorf("%s: %.1f MB are resident, want at most %d", name, memory, mostIdle)
		}
	}
	for who, now := range requests(t) {
		t.Logf("%s: %v requests to the API server in %v", who, now-asked[who], period)
	}
	var lines []string
	ours, all := 0.0, 0.0
	for key, now := range writes(t) {
		delta := now - before[key]
		if delta == 0 {
			continue
		}
		all += delta
		lines = append(lines, fmt.Sprintf("%v %s", delta, key))
		if strings.HasPrefix(key, "bpfmap.io/") || strings.HasPrefix(key, "events.k8s.io/") {
			ours += delta
		}
	}
	slices.Sort(lines)
	t.Logf("%v writing requests in %v with %d maps, %v of them about our resources or events:\n%s",
		all, period, count, ours, strings.Join(lines, "\n"))
	if ours != 0 {
		t.Errorf("%v writes about our resources or events in an idle cluster, want none", ours)
	}
	// A bound against leaks and busy loops, far above what is normal.
	for name, pid := range processes {
		if used := cpuSeconds(t, pid) - ticks[name]; used > period.Seconds()/10 {
			t.Errorf("%s used %.1f s of CPU in %v of idleness", name, used, period)
		}
	}
}

var counted = regexp.MustCompile(`^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)
var labelled = regexp.MustCompile(`(\w+)="([^"]*)"`)

// writes counts the API server's writing requests by group, resource and verb.
func writes(t *testing.T) map[string]float64 {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	text, err := clients.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		found := counted.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		labels := map[string]string{}
		for _, pair := range labelled.FindAllStringSubmatch(found[1], -1) {
			labels[pair[1]] = pair[2]
		}
		switch labels["verb"] {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		n, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		got[labels["group"]+"/"+labels["resource"]+" "+labels["subresource"]+" "+labels["verb"]] += n
	}
	if len(got) == 0 {
		t.Fatal("the API server's metrics count no writing request")
	}
	return got
}

var sent = regexp.MustCompile(`(?m)^rest_client_requests_total\{.*method="([A-Z]+)".*\} ([0-9.e+]+)$`)

// requests counts what each component's pod has asked of the API server, by method.
func requests(t *testing.T) map[string]float64 {
	t.Helper()
	var pods corev1.PodList
	if err := api.List(t.Context(), &pods, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		_, body, err := scrape(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8443")+"/metrics", "")
		if err != nil {
			t.Fatal(err)
		}
		who := pod.Labels["app.kubernetes.io/component"] + " on " + pod.Spec.NodeName
		for _, found := range sent.FindAllStringSubmatch(body, -1) {
			n, err := strconv.ParseFloat(found[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			got[who+", "+found[1]] += n
		}
	}
	if len(got) == 0 {
		t.Fatal("no component counts its requests")
	}
	return got
}

func proc(t *testing.T, pid int, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cpuSeconds is the time that a process has used, in user and kernel mode.
func cpuSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	_, after, _ := strings.Cut(proc(t, pid, "stat"), ") ")
	fields := strings.Fields(after)
	var ticks float64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

// resident is a process's memory in MB.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	for line := range strings.Lines(proc(t, pid, "status")) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return n / 1000
		}
	}
	t.Fatalf("process %d has no VmRSS", pid)
	return 0
}
