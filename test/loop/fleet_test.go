// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"      //nolint:staticcheck // as in internal/cli/plugin/live
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // the same
	"k8s.io/client-go/tools/portforward"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// fleetSize is how many nodes BenchmarkContentsOfAFleet asks.
const fleetSize = 100

// operator is the namespace of the agents' pods.
const operator = "bpfmap-system"

// BenchmarkContentsOfAFleet is how long the commands for live contents take on a hundred nodes: a hundred agents on this
// machine that are reached directly, and through the API server and a kubelet's port-forward, as from a desk.
func BenchmarkContentsOfAFleet(b *testing.B) {
	w := newWorld(b)
	w.apply("blocklist", blocklist)
	names, agents := make([]string, fleetSize), make([]int, fleetSize)
	for i := range names {
		n := newNode(b, w, true)
		names[i] = n.name
		n.start(b, "--contents-bind-address", "127.0.0.1:0", "--pod-namespace", operator, "--pod-name", n.name)
		n.endpoint(b)
		agents[i] = n.agent.cmd.Process.Pid
	}
	used := func() (all [3]float64) {
		all[0], all[1] = cpuSeconds(b, os.Getpid()), cpuSeconds(b, plane.APIServerPID())
		for _, pid := range agents {
			all[2] += cpuSeconds(b, pid)
		}
		return all
	}
	await.Nil(b, limit, func() error {
		if ready := w.awaitReady("blocklist").Status.Nodes.Ready; ready != fleetSize {
			return fmt.Errorf("%d nodes are ready", ready)
		}
		return nil
	})
	reader := newDesk(b, w, "reader")
	reader.may(b, w.namespace, read())
	reader.may(b, operator, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create", "get"}})
	startKubelet(b, w, names)
	for _, way := range []string{"direct", "forwarded"} {
		reader.forwards = way == "forwarded"
		for name, args := range map[string][]string{
			"compare": {"compare", "blocklist"},
			"get":     {"get", "blocklist", "--key", "1"},
			"dump":    {"dump", "blocklist", "--node", strings.Join(names, ",")},
			"top":     {"top", "blocklist", "--once", "-o", "json", "--interval", "500ms"}, // it asks each node twice, and waits as long
		} {
			b.Run(way+"/"+name, func(b *testing.B) {
				await.Nil(b, limit, func() error {
					if out, errOut, code := reader.run(b, args...); code != 0 {
						return fmt.Errorf("exit code %d: %.300s%.600s", code, out, errOut)
					}
					return nil
				})
				longest, rounds, before := time.Duration(0), 0.0, used()
				for b.Loop() {
					start := time.Now()
					if _, errOut, code := reader.run(b, args...); code != 0 {
						b.Fatalf("exit code %d: %.600s", code, errOut)
					}
					longest, rounds = max(longest, time.Since(start)), rounds+1
				}
				b.ReportMetric(longest.Seconds(), "s-longest")
				for i, after := range used() { // of each round; the command's own has that of the kubelet in it
					b.ReportMetric((after-before[i])/rounds, []string{"command", "apiserver", "agents"}[i]+"-cpu-s")
				}
			})
		}
	}
}

// startKubelet runs what of a kubelet the API server needs for port-forwarding, for all nodes, and makes a pod for each
// agent, by the node's name.
func startKubelet(b *testing.B, w *world, nodes []string) {
	b.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(forwardPort))
	b.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	ctx := b.Context()
	err := w.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}})
	if client.IgnoreAlreadyExists(err) != nil {
		b.Fatal(err)
	}
	for _, name := range nodes {
		object := &corev1.Node{}
		if err := w.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
			b.Fatal(err)
		}
		object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
		object.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: name}, Spec: corev1.PodSpec{
			NodeName: name, Containers: []corev1.Container{{Name: "agent", Image: "agent"}},
		}}
		if err := errors.Join(w.Status().Update(ctx, object), w.Create(ctx, pod)); err != nil {
			b.Fatal(err)
		}
	}
}

// forwardPort connects streams of an upgraded connection to ports of this machine.
func forwardPort(out http.ResponseWriter, request *http.Request) {
	if _, err := httpstream.Handshake(request, out, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 2)
	connection := spdy.NewResponseUpgrader().UpgradeResponse(out, request, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if connection == nil {
		return
	}
	defer func() { _ = connection.Close() }()
	for {
		select {
		case s := <-streams:
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				_ = s.Close()
				continue
			}
			go forwardStream(s)
		case <-connection.CloseChan():
			return
		}
	}
}

func forwardStream(s httpstream.Stream) {
	defer func() { _ = s.Reset() }()
	port, err := strconv.Atoi(s.Headers().Get(corev1.PortHeader))
	if err != nil {
		return
	}
	to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // this machine
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.Copy(to, s)
		_ = to.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(s, to)
	_ = s.Close()
	copying.Wait()
}
