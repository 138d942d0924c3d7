// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/live"
	served "github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// direct connects to an agent on this machine: there is no kubelet here that forwards ports.
func direct(ctx context.Context, at *v1alpha1.ContentsEndpoint) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at.Port))))
}

// desk is a person with a kubeconfig.
type desk struct {
	w          *world
	account    string
	kubeconfig string
	config     *rest.Config
	// forwards goes through the API server in place of straight to the agents.
	forwards bool
}

// newDesk is one with the token of a service account of its own, and no rights but to find the agents.
func newDesk(t testing.TB, w *world, name string) *desk {
	t.Helper()
	kubernetes := w.clientset(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	request, err := kubernetes.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(plane.Config())
	config.BearerToken = request.Status.Token
	d := &desk{w: w, account: name, config: config, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if err := plane.WriteKubeconfig(d.kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	d.mayEverywhere(t, "bpfmap-contents-nodes")
	return d
}

func (w *world) clientset(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (d *desk) subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: d.w.namespace, Name: d.account}}
}

// mayEverywhere binds a cluster role.
func (d *desk) mayEverywhere(t testing.TB, role string) {
	t.Helper()
	bindings := d.w.clientset(t).RbacV1().ClusterRoleBindings()
	binding, err := bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "contents-"}, Subjects: d.subjects(),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bindings.Delete(context.Background(), binding.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// may grants a rule in the namespace.
func (d *desk) may(t testing.TB, namespace string, rule rbacv1.PolicyRule) {
	t.Helper()
	name := "contents-" + d.account + "-" + strings.Join(rule.Resources, "-")
	name = strings.ReplaceAll(name, "/", "-")
	c := d.w.clientset(t).RbacV1()
	_, err := c.Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: d.subjects(), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// read is the right to what the maps of a BPFMap hold; of all if there are no names.
func read(names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"bpfmap.io"}, Resources: []string{"bpfmaps/contents"}, Verbs: []string{"get"}, ResourceNames: names}
}

// run runs a command of the plugin.
func (d *desk) run(t testing.TB, args ...string) (out, errOut string, code int) {
	t.Helper()
	f := kube.New("test")
	root := &cobra.Command{Use: "kubectl-bpfmap", SilenceUsage: true, SilenceErrors: true}
	f.AddFlags(root.PersistentFlags())
	dial := live.Dial(direct)
	if d.forwards {
		dial = nil
	}
	root.AddCommand(live.Commands(f, dial)...)
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append(args, "--kubeconfig", d.kubeconfig, "-n", d.w.namespace))
	err := root.ExecuteContext(t.Context())
	var exit *local.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.Code
	case err != nil:
		code = 1
		fmt.Fprintf(&stderr, "Error: %v\n", err)
	}
	return stdout.String(), stderr.String(), code
}

// want runs a command until it has this result: the API server learns of rights by a watch of its own.
func (d *desk) want(t *testing.T, code int, out, errOut string, args ...string) {
	t.Helper()
	await.Nil(t, limit, func() error {
		gotOut, gotErr, gotCode := d.run(t, args...)
		if gotCode != code || !strings.Contains(gotOut, out) || !strings.Contains(gotErr, errOut) || out == "" && gotOut != "" {
			return fmt.Errorf("%s: exit code %d, want %d, output %q, want %q, standard error %q, want %q", strings.Join(args, " "), gotCode, code, gotOut, out, gotErr, errOut)
		}
		return nil
	})
}

// withContents starts a node whose agent serves contents.
func withContents(t testing.TB, w *world) *node {
	t.Helper()
	n := newNode(t, w, true)
	n.start(t, "--contents-bind-address", "127.0.0.1:0", "--pod-namespace", "bpfmap-system", "--pod-name", n.name)
	n.endpoint(t)
	return n
}

// endpoint waits until the agent says where it serves contents.
func (n *node) endpoint(t testing.TB) *v1alpha1.ContentsEndpoint {
	t.Helper()
	state := &v1alpha1.BPFNodeState{}
	await.Nil(t, limit, func() error {
		if err := n.w.Get(t.Context(), client.ObjectKey{Name: n.name}, state); err != nil {
			return err
		}
		if state.Status.Contents == nil {
			return errors.New("the agent doesn't say where contents can be read")
		}
		return nil
	})
	return state.Status.Contents
}

// contentsWorld is a map on two nodes, and a desk that may read it.
func contentsWorld(t *testing.T) (w *world, a, b *node, reader *desk) {
	t.Helper()
	w = newWorld(t)
	a, b = withContents(t, w), withContents(t, w)
	w.apply("blocklist", blocklist)
	w.awaitReadyOn("blocklist", a, b)
	reader = newDesk(t, w, "reader")
	reader.may(t, w.namespace, read())
	return w, a, b, reader
}

func TestContentsFromADesk(t *testing.T) {
	w, a, b, reader := contentsWorld(t)
	const two = "1 = 10\n2 = 20\nFound 2 elements\n"
	reader.want(t, 0, "Found 2 elements\n", "", "dump", "blocklist", "--node", a.name)
	out, _, _ := reader.run(t, "dump", "blocklist", "--node", a.name)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.Contains(two, lines[0]+"\n") || !strings.Contains(two, lines[1]+"\n") {
		t.Errorf("dump prints %q, want the lines of %q", out, two)
	}
	reader.want(t, 0, "# BPFMap "+w.namespace+"/blocklist on node "+b.name+"\n", "", "dump", w.namespace+"/blocklist", "--node", a.name+","+b.name)
	reader.want(t, 1, "", "choose one with --node", "dump", "blocklist")
	reader.want(t, 0, `"node":"`+a.name+`"`, "", "dump", "blocklist", "--node", a.name, "-o", "json")

	// One key.
	reader.want(t, 0, "20\n", "", "get", "blocklist", "--key", "2", "--node", a.name)
	reader.want(t, 0, b.name+": 20\n", "", "get", "blocklist", "--key", "2")
	reader.want(t, 1, "", "no element 7 is in the map on node "+a.name, "get", "blocklist", "--key", "7", "--node", a.name)
	reader.want(t, 1, "", "key: ", "get", "blocklist", "--key", "not-a-number", "--node", a.name)

	// The same on both, then not.
	reader.want(t, 0, "the same on 2 nodes\n", "", "compare", "blocklist")
	reader.want(t, 0, "  as revision ", "", "compare", "blocklist")
	b.set(t, "blocklist", 2, 21)
	b.set(t, "blocklist", 3, 30)
	b.remove(t, "blocklist", 1)
	for _, want := range []string{"2 different contents on 2 nodes\n", "~ 2: 20 → 21\n", "+ 3 = 30\n", "- 1 = 10\n", "from revision "} {
		if out, errOut, code := reader.run(t, "compare", "blocklist"); code != 1 || !strings.Contains(swapped(out, a.name, b.name), want) {
			t.Errorf("compare: exit code %d, output %q, standard error %q, want %q", code, out, errOut, want)
		}
	}
	out, errOut, code := reader.run(t, "compare", "blocklist", "-o", "json")
	var report struct {
		Same       bool
		AsDeclared bool
		Kinds      []struct{ Entries int }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.Same || report.AsDeclared || len(report.Kinds) != 2 {
		t.Errorf("compare -o json: exit code %d, %v, %q, %q", code, err, out, errOut)
	}

	// A manifest.
	reader.want(t, 0, `{"key": 2, "value": 20}`, "", "import", "blocklist", "--node", a.name, "--entries")
	reader.want(t, 0, "# Read from node "+a.name, "", "import", "blocklist", "--node", a.name)

	// How full.
	reader.want(t, 0, `"name": "blocklist"`, "", "top", "--once", "-o", "json", "--interval", "500ms")
	reader.want(t, 0, "blocklist", "", "top", "blocklist", "--by-node", "--interval", "500ms")
}

// swapped is the output of compare as if the contents of a were those that it begins with: of two kinds of as many nodes, the
// first is that of the node with the lesser name.
func swapped(out, a, b string) string {
	if a < b {
		return out
	}
	return strings.NewReplacer("~ 2: 21 → 20", "~ 2: 20 → 21", "+ 1 = 10", "- 1 = 10", "- 3 = 30", "+ 3 = 30").Replace(out)
}

// TestContentsAreRefused asks as everybody who must not be answered.
func TestContentsAreRefused(t *testing.T) {
	w, a, _, _ := contentsWorld(t)
	stranger := newDesk(t, w, "stranger")
	elsewhere := newDesk(t, w, "elsewhere")
	elsewhere.may(t, metav1.NamespaceDefault, read())
	other := newDesk(t, w, "other")
	other.may(t, w.namespace, read("allowlist"))
	account := "system:serviceaccount:" + w.namespace + ":"
	for _, d := range []*desk{stranger, elsewhere, other} {
		refused := "user \"" + account + d.account + "\" may not get bpfmaps/contents.bpfmap.io blocklist in namespace " + w.namespace
		d.want(t, 1, "", refused, "dump", "blocklist", "--node", a.name)
		d.want(t, 1, "", refused, "get", "blocklist", "--key", "2")
		d.want(t, 2, "no node answered", "may not get", "compare", "nothing", "--node", a.name)
		d.want(t, 1, "", refused, "import", "blocklist", "--node", a.name)
		d.want(t, 1, "", "may not get bpfnodestates/contents.bpfmap.io "+a.name, "dump", "--pin", a.pin("blocklist"), "--node", a.name)
		// Whether there is such a map isn't told either.
		d.want(t, 1, "", "may not get bpfmaps/contents.bpfmap.io nothing", "dump", "nothing", "--node", a.name)
		d.want(t, 1, "", "may not get bpfnodestates/contents.bpfmap.io", "dump", "--pin", a.bpffs+"/nothing", "--node", a.name)
	}
	other.want(t, 1, "", "may not get bpfmaps/contents.bpfmap.io of every name", "top", "--once", "--node", a.name, "--interval", "500ms")
	other.may(t, w.namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
	other.want(t, 1, "", "no such map on this node", "get", "allowlist", "--node", a.name, "--key", "1")
}

// TestContentsOfSecrets: what comes from a Secret is for who may read Secrets.
func TestContentsOfSecrets(t *testing.T) {
	w, a, _, reader := contentsWorld(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "list"}, StringData: map[string]string{"l": "7\n"}}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.apply("private", `
spec:
  type: Hash
  key: {type: be32}
  value: {type: u32}
  maxEntries: 16
  nodeSelector: {world: NAMESPACE}
  entriesFrom:
  - {secretRef: {name: list, key: l}, format: Lines, value: 1}
`)
	w.awaitReady("private")
	reader.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name)
	for _, args := range [][]string{{"dump", "private"}, {"get", "private", "--key", "7"}, {"import", "private", "--entries"}} {
		reader.want(t, 1, "", "the contents of this map come from a Secret", append(args, "--node", a.name)...)
	}
	reader.want(t, 2, "no node answered", "may not get secrets of every name in namespace "+w.namespace, "compare", "private", "--node", a.name)
	reader.may(t, w.namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
	reader.want(t, 0, "7 = 1\n", "", "dump", "private", "--node", a.name)

	// It stays so when the BPFMap is gone and its map is left.
	m := &v1alpha1.BPFMap{}
	w.edit("private", func(s *v1alpha1.BPFMapSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain })
	w.awaitReady("private")
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "private"}, m); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	nodes := newDesk(t, w, "nodes")
	nodes.mayEverywhere(t, "bpfmap-node-contents-reader")
	nodes.may(t, w.namespace, read())
	nodes.want(t, 1, "", "may not get secrets of every name", "dump", "--pin", a.pin("private"), "--node", a.name)
	nodes.want(t, 0, "Found 2 elements", "", "dump", "--pin", a.pin("blocklist"), "--node", a.name)
}

// TestContentsAtPins reads maps that nobody manages, and nothing else that is in the file system.
func TestContentsAtPins(t *testing.T) {
	w, a, _, reader := contentsWorld(t)
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, Name: "filter", KeySize: 4, ValueSize: 4, MaxEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	pin := filepath.Join(a.bpffs, "xdp", "filter")
	err = errors.Join(os.Mkdir(filepath.Dir(pin), 0o755), m.Pin(pin), m.UpdateElem([]byte{1, 2, 3, 4}, []byte{5, 6, 7, 8}, bpf.Any),
		os.Symlink(filepath.Join(a.bpffs, "bpfmap"), filepath.Join(a.bpffs, "link")))
	if err != nil {
		t.Fatal(err)
	}
	reader.mayEverywhere(t, "bpfmap-node-contents-reader")
	on := func(args ...string) []string { return append(args, "--node", a.name) }
	reader.want(t, 0, "01 02 03 04 = 05 06 07 08\n", "", on("dump", "--pin", pin)...)
	reader.want(t, 0, "05 06 07 08\n", "", on("get", "--pin", pin, "--key", "hex:01020304")...)
	reader.want(t, 0, "adoptionPolicy: Adopt", "", on("import", "--pin", pin, "--name", "filter")...)
	reader.want(t, 0, `"01020304"`, "", on("import", "--pin", pin, "--entries")...)
	reader.want(t, 0, "1 entry", "", on("compare", "--pin", pin)...)
	for path, want := range map[string]string{
		a.bpffs + "/bpfmap/_state/" + w.namespace + "/blocklist/record": "is reserved",
		a.bpffs + "/xdp":                        "is not a map",
		a.bpffs + "/xdp/../xdp/filter":          "must be an absolute path",
		a.bpffs + "/link/" + w.namespace:        "it is not a directory",
		a.bpffs + "/nothing":                    "isn't there",
		"/etc/passwd":                           "is not below " + a.bpffs,
		strings.TrimPrefix(a.bpffs, "/") + "/x": "must be an absolute path",
	} {
		if out, errOut, code := reader.run(t, on("dump", "--pin", path)...); code != 1 || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("--pin %s: exit code %d, output %q, standard error %q, want %q", path, code, out, errOut, want)
		}
	}
}

// raw asks an agent without the plugin.
func (n *node) raw(t *testing.T, method, path string, config *tls.Config, headers map[string]string, body io.Reader) (int, string) {
	t.Helper()
	at := n.endpoint(t)
	if config == nil {
		config = &tls.Config{}
	}
	config.InsecureSkipVerify = true
	c := &http.Client{Timeout: limit, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, "https://127.0.0.1:"+strconv.Itoa(int(at.Port))+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestContentsRequests sends what the plugin doesn't.
func TestContentsRequests(t *testing.T) {
	w, a, _, reader := contentsWorld(t)
	path := (&served.Question{What: served.Elements, Format: "text"}).URL() + "&namespace=" + w.namespace + "&name=blocklist"
	token := map[string]string{"Authorization": "Bearer " + reader.config.BearerToken}
	reader.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name)
	with := func(name, value string) map[string]string {
		return map[string]string{"Authorization": token["Authorization"], name: value}
	}
	for name, c := range map[string]struct {
		method, path string
		headers      map[string]string
		body         string
		status       int
		want         string
	}{
		"as it is":       {"GET", path, token, "", 200, "Found 2 elements"},
		"no token":       {"GET", path, nil, "", 401, "neither a client certificate nor a bearer token"},
		"made-up token":  {"GET", path, map[string]string{"Authorization": "Bearer x.y.z"}, "", 401, "the bearer token is not valid"},
		"a password":     {"GET", path, map[string]string{"Authorization": "Basic eDp5"}, "", 401, "not valid"},
		"impersonation":  {"GET", path, with("Impersonate-User", "admin"), "", 400, "agents don't impersonate"},
		"POST":           {"POST", path, token, "", 400, "contents can only be read"},
		"a body":         {"GET", path, token, "x", 400, "has a body"},
		"DELETE":         {"DELETE", path, token, "", 400, "contents can only be read"},
		"another path":   {"GET", "/metrics", token, "", 400, "is not something that can be asked"},
		"path with ..":   {"GET", "/v1/../v1/elements?namespace=x&name=y&format=text", token, "", 400, "is not something that can be asked"},
		"two names":      {"GET", path + "&name=other", token, "", 400, "is given 2 times"},
		"unknown":        {"GET", path + "&write=true", token, "", 400, `there is no parameter "write"`},
		"a pin, too":     {"GET", path + "&pin=/x", token, "", 400, "either the namespace and name"},
		"name with path": {"GET", "/v1/elements?format=text&namespace=" + w.namespace + "&name=" + url.QueryEscape("../"+w.namespace+"/blocklist"), token, "", 400, "not a valid name"},
		"no name":        {"GET", "/v1/elements?format=text&namespace=" + w.namespace, token, "", 400, "not a valid name"},
		"long":           {"GET", path + "&" + strings.Repeat("x", 20000), token, "", 400, "at most 16384 are allowed"},
	} {
		var body io.Reader
		if c.body != "" {
			body = strings.NewReader(c.body)
		}
		if status, text := a.raw(t, c.method, c.path, nil, c.headers, body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: status %d, want %d, %q, want %q", name, status, c.status, text, c.want)
		}
	}
}

// TestContentsCredentials reads with a client certificate, and with a token for agents alone.
func TestContentsCredentials(t *testing.T) {
	w, a, _, reader := contentsWorld(t)
	path := (&served.Question{What: served.Elements, Format: "text"}).URL() + "&namespace=" + w.namespace + "&name=blocklist"

	// The administrator's kubeconfig has a certificate, of the group system:masters.
	certificate, err := tls.X509KeyPair(plane.Config().CertData, plane.Config().KeyData)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := a.raw(t, "GET", path, &tls.Config{Certificates: []tls.Certificate{certificate}}, nil, nil); status != http.StatusOK {
		t.Errorf("the administrator's certificate: status %d, %q", status, text)
	}
	somebody, err := plane.ConfigFor("jane", "team-a")
	if err != nil {
		t.Fatal(err)
	}
	if certificate, err = tls.X509KeyPair(somebody.CertData, somebody.KeyData); err != nil {
		t.Fatal(err)
	}
	if status, text := a.raw(t, "GET", path, &tls.Config{Certificates: []tls.Certificate{certificate}}, nil, nil); status != http.StatusForbidden || !strings.Contains(text, `user "jane"`) {
		t.Errorf("somebody's certificate: status %d, %q", status, text)
	}
	// One that another authority signed is nobody's, with a token or without.
	other, err := selfSigned("system:admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	if status, text := a.raw(t, "GET", path, &tls.Config{Certificates: []tls.Certificate{other}}, nil, nil); status != http.StatusUnauthorized {
		t.Errorf("a certificate that nobody signed: status %d, %q", status, text)
	}

	// By the reader's account, with a token that the API server itself doesn't take.
	admin := &desk{w: w, kubeconfig: filepath.Join(t.TempDir(), "admin")}
	if err := plane.WriteKubeconfig(admin.kubeconfig, plane.Config()); err != nil {
		t.Fatal(err)
	}
	admin.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name)
	admin.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name, "--service-account", w.namespace+"/"+reader.account)
	newDesk(t, w, "nobody")
	admin.want(t, 1, "", `user "system:serviceaccount:`+w.namespace+`:nobody" may not get`, "dump", "blocklist", "--node", a.name, "--service-account", w.namespace+"/nobody")
	admin.want(t, 1, "", "agents answer those who ask themselves", "dump", "blocklist", "--node", a.name, "--as", "jane")
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{served.Audience}}}
	token, err := w.clientset(t).CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), reader.account, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := a.raw(t, "GET", path, nil, map[string]string{"Authorization": "Bearer " + token.Status.Token}, nil); status != http.StatusOK {
		t.Errorf("a token for agents: status %d, %q", status, text)
	}
	config := rest.AnonymousClientConfig(plane.Config())
	config.BearerToken = token.Status.Token
	if c, err := kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	} else if _, err := c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}); err == nil {
		t.Error("a token for agents is good for the API server")
	}
	// A token for something else isn't good here.
	request.Spec.Audiences = []string{"vault"}
	if token, err = w.clientset(t).CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), reader.account, request, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if status, text := a.raw(t, "GET", path, nil, map[string]string{"Authorization": "Bearer " + token.Status.Token}, nil); status != http.StatusUnauthorized {
		t.Errorf("a token for something else: status %d, %q", status, text)
	}
}

// TestContentsAfterARestart: the new agent has another certificate, and the desk waits for its report.
func TestContentsAfterARestart(t *testing.T) {
	_, a, _, reader := contentsWorld(t)
	reader.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name)
	before := a.endpoint(t).CertificateSHA256
	a.agent.stop()
	a.start(t, "--contents-bind-address", "127.0.0.1:0", "--pod-namespace", "bpfmap-system", "--pod-name", a.name)
	await.Nil(t, limit, func() error {
		if a.endpoint(t).CertificateSHA256 == before {
			return errors.New("the state names the certificate of the agent before")
		}
		return nil
	})
	reader.want(t, 0, "Found 2 elements", "", "dump", "blocklist", "--node", a.name)
	// An agent that doesn't serve contents takes the endpoint out of its state.
	a.agent.stop()
	a.start(t)
	reader.want(t, 1, "", "its agent doesn't let contents be read", "dump", "blocklist", "--node", a.name)
}
