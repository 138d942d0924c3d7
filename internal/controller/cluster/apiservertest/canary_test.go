// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// logbook keeps what is logged, and shows warnings and errors.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var logs logbook

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(line, []byte("level=WARN")) || bytes.Contains(line, []byte("level=ERROR")) {
		_, _ = os.Stderr.Write(line)
	}
	return l.text.Write(line)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// canaries are what Secrets hold and nothing may tell: a word, an address of each family, a number.
var canaries = []string{"zq7canary", "203.0.113.213", "2001:db8:ca9a", "918273645"}

// secretCase is a Secret's text that is wrong, or as it should be, and the source that reads it.
type secretCase struct {
	name, text string
	// source is what the element has besides the reference; the map's key and value are those of a trie of IPv4 prefixes if
	// types is empty.
	source, types string
	// accepted is what becomes of it.
	accepted metav1.ConditionStatus
}

const (
	texts     = "type: Hash, key: {type: string, size: 32}, value: {type: u8}"
	addresses = "type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}"
	refused   = metav1.ConditionFalse
	taken     = metav1.ConditionTrue
)

// secretCases have each canary in the places of a text that messages speak of.
var secretCases = []secretCase{
	{"lines", "zq7canary\n203.0.113.213/24\n", "format: Lines, value: 1", addresses, refused},
	{"lines-tolerated", "192.0.2.0/24\nzq7canary\n203.0.113.213/24\n", "format: Lines, value: 1, limits: {maxInvalid: 5}", addresses, taken},
	{"lines-hint", "203.0.113.213;zq7canary\n", "format: Lines, value: 1", addresses, refused},
	{"lines-repeated", "203.0.113.213\n203.0.113.213\n", "format: Lines, value: 1", addresses, taken},
	{"lines-family", "192.0.2.0/24\n2001:db8:ca9a::/48\n", "format: Lines, value: 1", addresses, taken},
	{"lines-family-only", "2001:db8:ca9a::/48\n", "format: Lines, value: 1", addresses, refused},
	{"lines-change", "192.0.2.0/24\n203.0.113.213\n", "format: Lines, value: 1, limits: {minEntries: 5}", addresses, refused},
	{"lines-long", "zq7canary-zq7canary-zq7canary-zq7canary\n", "format: Lines, value: 1", texts, refused},
	{"lines-hosts", "203.0.113.213 zq7canary\n", "format: Lines, value: 1", texts, refused},
	{"columns", "zq7canary 918273645\n", `format: Lines, text: {separator: " ", columns: [a, b]}, mapping: {key: {path: a}, value: {path: b}}`, texts, refused},
	{"csv", "key,value\nzq7canary,918273645\n", "format: CSV", texts, refused},
	{"csv-header", "zq7canary,918273645\n192.0.2.1,1\n", "format: CSV", addresses, refused},
	{"csv-quotes", "key,value\n\"zq7canary,1\n", "format: CSV", texts, refused},
	{"csv-column", "network\nzq7canary\n", "format: CSV, mapping: {key: {path: other}}, value: 1", texts, refused},
	{"csv-conflict", "key,value\nzq7canary,1\nzq7canary,2\n", "format: CSV", texts, refused},
	{"csv-overridden", "key,value\nzq7canary,1\nzq7canary,2\n", "format: CSV", texts + ", conflictPolicy: First", taken},
	{"csv-expires", "key,value,expires\nzq7canary,1,918273645x\n", "format: CSV", texts, refused},
	{"csv-expired", "key,value,expires\na,1,\nzq7canary,1,918273645\n", "format: CSV", texts, taken},
	{"json", `[{"key": "zq7canary", "value": 918273645}, {"key": 918273645, "value": 1}]`, "format: JSON", texts, refused},
	{"json-syntax", `[{"key": "zq7canary", zq7canary}]`, "format: JSON", texts, refused},
	{"json-member", `[{"zq7canary": 918273645}]`, "format: JSON", texts, refused},
	{"json-items", `{"zq7canary": ["918273645"]}`, `format: JSON, mapping: {items: "other[]"}, value: 1`, texts, refused},
	{"json-items-type", `{"a": "zq7canary"}`, `format: JSON, mapping: {items: "a[].b"}, value: 1`, texts, refused},
	{"json-cel-key", `{"a": "zq7canary"}`, `format: JSON, mapping: {key: {expression: "string(int(item.a))"}}, value: 1`, texts, refused},
	{"json-cel-filter", `{"a": "zq7canary"}`, `format: JSON, mapping: {filter: "int(item.a) > 1", key: {path: a}}, value: 1`, texts, refused},
	{"json-cel-member", `{"zq7canary": {"918273645": 1}}`, `format: JSON, mapping: {key: {expression: "item.zq7"}}, value: 1`, texts, refused},
	{"json-cel-address", `{"a": "203.0.113.213/24"}`, `format: JSON, mapping: {key: {expression: "ip(item.a)"}}, value: 1`, addresses, refused},
	{"json-page", "<html>zq7canary</html>", "format: JSON", texts, refused},
	{"yaml", "- {key: zq7canary, value: 918273645}\n", "format: YAML", texts, refused},
	{"yaml-syntax", "- {key: zq7canary, value: [}\n", "format: YAML", texts, refused},
	{"yaml-alias", "- {key: *zq7canary, value: 1}\n", "format: YAML", texts, refused},
	{"yaml-member", "- {key: a, zq7canary: 1}\n", "format: YAML", texts, refused},
	{"yaml-twice", "- {key: {zq7canary: 1, zq7canary: 2}, value: 1}\n", "format: YAML", texts, refused},
	{"hosts", "zq7canary name\n203.0.113.213\n", "format: Hosts, value: 1", texts, refused},
	{"ipset", "create zq7canary hash:net\nadd zq7canary 918273645 zq7canary\n", "format: IPSet, value: 1", addresses, refused},
	{"ipset-command", "zq7canary 203.0.113.213\n", "format: IPSet, value: 1", addresses, refused},
	{"nftables", `{"nftables": [{"set": {"name": "zq7canary", "elem": ["zq7canary", {"prefix": {"addr": "203.0.113.213", "len": 99}}]}}]}`, "format: NFTables, value: 1", addresses, refused},
	{"p2p", "zq7canary:203.0.113.213-1.2.3.4\nzq7canary\n", "format: P2P, value: 1", addresses, refused},
	{"gzip", "\x1f\x8bzq7canary", "format: Lines, value: 1", texts, refused},
	{"value-mac", "key,value\na,zq7canary\n", "format: CSV", "type: Hash, key: {type: string, size: 8}, value: {type: mac}", refused},
	{"ifindex", "key,value\na,zq7canaryzq7canaryzq7canary\n", "format: CSV", "type: Hash, key: {type: string, size: 8}, value: {type: ifindex}", refused},
}

// TestSecretsAreNotTold: what is in a Secret is in no status, no event, no log and no metric, whatever is wrong with it.
func TestSecretsAreNotTold(t *testing.T) {
	s := newSite(t)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		switch _, password, _ := r.BasicAuth(); {
		case strings.HasPrefix(r.URL.Path, "/login") && password != "right zq7canary":
			w.Header().Set("WWW-Authenticate", `Basic realm="`+password+`"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "wrong: "+password)
		case strings.HasPrefix(r.URL.Path, "/redirect"):
			http.Redirect(w, r, "http://else.invalid/", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "zq7canary\n203.0.113.213/24\n")
		}
	})
	w := newIdleWorld(t)
	allowed := fetching(t, s)
	w.options = func(o *cluster.Options) {
		allowed(o)
		o.MetricsPerMap = 1000
		o.Fetch.AllowedHosts = append(o.Fetch.AllowedHosts, "*", "127.0.0.1:1")
		o.Fetch.Limits = fetch.DefaultLimits()
		o.Fetch.Limits.Connect, o.Fetch.Limits.Answer = time.Second, 10*time.Second
	}
	w.start()
	want := map[string]metav1.ConditionStatus{}
	for _, c := range secretCases {
		w.secret(c.name, map[string]string{"text": c.text})
		w.createSecretly(c.name, c.types, fmt.Sprintf("secretRef: {name: %s, key: text}, %s", c.name, c.source))
		want[c.name] = c.accepted
	}
	w.secret("rest", map[string]string{
		"username": "me", "password": "wrong zq7canary", "address": "http://zq7canary:918273645@203.0.113.213", "ca.crt": "zq7canary", "zq7canary": "918273645",
	})
	w.secret("right", map[string]string{"username": "me", "password": "right zq7canary"})
	w.secret("certificate", map[string]string{"tls.crt": "zq7canary", "tls.key": "918273645"})
	w.secret("proxy", map[string]string{"address": "http://203.0.113.213:3128", "username": "zq7canary", "password": "918273645"})
	w.secret("proxy-name", map[string]string{"address": "http://x.zq7canary.invalid:80"})
	w.secret("proxy-refuses", map[string]string{"address": "http://127.0.0.1:1", "username": "zq7canary", "password": "918273645"})
	w.secret("token", map[string]string{"bearerToken": "zq7canary\n918273645"})
	for name, c := range map[string]struct {
		http     string
		accepted metav1.ConditionStatus
	}{
		"http-ca":         {"/login, secretRef: {name: rest}", metav1.ConditionUnknown},
		"http-text":       {"/login, secretRef: {name: right}", refused},
		"http-redirect":   {"/redirect, secretRef: {name: right}", metav1.ConditionUnknown},
		"http-cert":       {"/login, secretRef: {name: certificate}", metav1.ConditionUnknown},
		"http-token":      {"/login, secretRef: {name: token}", metav1.ConditionUnknown},
		"http-proxy":      {"/x, proxySecretRef: {name: rest}", metav1.ConditionUnknown},
		"http-proxy-else": {"/x, proxySecretRef: {name: proxy}", metav1.ConditionUnknown},
		"http-proxy-name": {"/x, proxySecretRef: {name: proxy-name}", metav1.ConditionUnknown},
		"http-proxy-dead": {"/x, proxySecretRef: {name: proxy-refuses}", metav1.ConditionUnknown},
		"http-key":        {"/x, signature: {type: Minisign, publicKeyFrom: {secretRef: {name: rest, key: ca.crt}}}", metav1.ConditionUnknown},
		"http-cosign":     {"/x, signature: {type: Cosign, publicKeyFrom: {secretRef: {name: rest, key: ca.crt}}}", metav1.ConditionUnknown},
		"http-no-key":     {"/x, signature: {type: Cosign, publicKeyFrom: {secretRef: {name: rest, key: missing}}}", metav1.ConditionUnknown},
	} {
		w.createSecretly(name, addresses, fmt.Sprintf("http: {url: %s%s}, format: Lines, value: 1", s.URL, c.http))
		want[name] = c.accepted
	}
	w.createSecretly("no-key", addresses, "secretRef: {name: rest, key: missing}, format: Lines, value: 1")
	want["no-key"] = refused

	// Sources that have the same key.
	w.secret("other", map[string]string{"text": "key,value\nzq7canary,3\n"})
	w.createSecretly("conflict", texts, "secretRef: {name: csv-overridden, key: text}, format: CSV}, {secretRef: {name: other, key: text}, format: CSV")
	want["conflict"] = refused
	w.configMap("open", nil, map[string]string{"text": "key,value\nzq7canary,3\n"})
	w.createSecretly("conflict-open", texts, "configMapRef: {name: open, key: text}, format: CSV}, {secretRef: {name: csv-expired, key: text}, format: CSV}, {secretRef: {name: other, key: text}, format: CSV")
	want["conflict-open"] = ""

	for name, status := range want {
		w.awaitJudged(name, status)
	}
	w.checkCanaries()
}

func (w *world) secret(name string, data map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: data}
	if err := w.Create(w.t.Context(), secret); err != nil {
		w.t.Fatal(err)
	}
}

// createSecretly creates a map of elements of entriesFrom, given without the first and the last brace.
func (w *world) createSecretly(name, types, elements string) {
	w.t.Helper()
	w.create(name, fmt.Sprintf("spec: {%s, maxEntries: 16, entriesFrom: [{%s}]}", types, elements))
}

// awaitJudged waits until the condition Accepted says that, and not that something is about to come; any status if it is
// empty.
func (w *world) awaitJudged(name string, status metav1.ConditionStatus) {
	w.t.Helper()
	await.Nil(w.t, 2*limit, func() error {
		m, err := w.get(name)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
		if c == nil || status != "" && c.Status != status || strings.Contains(c.Message, "waits for the first fetch") {
			return fmt.Errorf("%s: condition Accepted is %+v, want %s", name, c, status)
		}
		return nil
	})
}

// checkCanaries looks for them in all that the controller tells.
func (w *world) checkCanaries() {
	t := w.t
	t.Helper()
	var maps v1alpha1.BPFMapList
	var events eventsv1.EventList
	for _, list := range []client.ObjectList{&maps, &events} {
		if err := w.List(t.Context(), list, client.InNamespace(w.namespace)); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]string{}
	for i := range maps.Items {
		m := &maps.Items[i]
		text, err := json.Marshal(m.Status)
		if err != nil {
			t.Fatal(err)
		}
		told["the status of "+m.Name] = string(text)
	}
	if len(told) < len(secretCases) || len(events.Items) == 0 {
		t.Fatalf("there are %d maps and %d events", len(told), len(events.Items))
	}
	for i := range events.Items {
		e := &events.Items[i]
		told["event "+e.Reason+" of "+e.Regarding.Name] += e.Note + "\n"
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told["the metrics"] = fmt.Sprint(families)
	told["the logs"] = logs.String()
	if !strings.Contains(told["the metrics"], w.namespace) || !strings.Contains(told["the logs"], "level=") {
		t.Error("there are no metrics or logs of this test")
	}
	for where, text := range told {
		for _, canary := range canaries {
			if at := strings.Index(text, canary); at >= 0 {
				t.Errorf("%s: %q is told: …%s…", where, canary, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}
