// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// badFeed is a way in which a feed goes wrong after it was good.
type badFeed struct {
	name string
	// source is what the element has besides its URL, which is %s; a feed of lines if empty.
	source string
	// good is what it has first, badFeedLines lines if empty.
	good string
	// maxEntries is 64 if it isn't given.
	maxEntries int
	// bad answers from then on. beside is what is at other paths behind that of the feed, before and then.
	bad            http.HandlerFunc
	beside, badder map[string]string
	// condition is that which tells, and want what its message has.
	condition string
	want      []string
}

// badFeedLines is how many entries each feed has at first.
const badFeedLines = 40

func lines(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "10.%d.%d.0/24\n", i>>8, i&255)
	}
	return text.String()
}

func jsonLines(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"cidr":"10.0.%d.0/24","name":"n%d"}`+"\n", i, i)
	}
	return text.String()
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// streams sends lines, at most that many, until the client has had enough.
func streams(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		line := make([]byte, 0, 32)
		for i := 0; i < n && r.Context().Err() == nil; i++ {
			line = fmt.Appendf(line[:0], "%d.%d.%d.0/24\n", 1+i>>16, i>>8&255, i&255)
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
}

// hangs sends a little, and nothing more.
func hangs(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if text != "" {
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// announces tells a length and sends less.
func announces(length int64, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(length))
		_, _ = io.WriteString(w, text)
	}
}

const jsonSource = `http: {url: %s}, format: JSON, mapping: {key: {path: cidr}}, value: 1`

// badFeeds are the ways.
func badFeeds(t *testing.T) []badFeed {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string, age time.Duration) string {
		return string(minisign.SignWithComments(private, []byte(text), fmt.Sprintf("timestamp:%d", time.Now().Add(-age).Unix()), ""))
	}
	fresh, accepted := v1alpha1.ConditionSourcesFresh, v1alpha1.ConditionAccepted
	good, more := lines(badFeedLines), lines(badFeedLines+1)
	const elsewhere = "http://169.254.169.254/latest/meta-data"
	signed := fmt.Sprintf(`http: {url: %%s, signature: {type: Minisign, publicKey: %s, maxAge: 48h}}, format: Lines, value: 1`, public.String())
	const summed = `http: {url: %[1]s, checksum: {url: %[1]s.sum}}, format: Lines, value: 1`
	const artifact = `artifact: {kind: GitRepository, name: NAME, path: drop.txt}, format: Lines, value: 1`
	return []badFeed{
		{name: "an error page with status 200", bad: says("<!DOCTYPE html><title>Sorry</title>"), condition: fresh, want: []string{"HTML page"}},
		{name: "304 that nobody asked for", bad: code(http.StatusNotModified), condition: fresh, want: []string{"304 Not Modified", "wasn't asked"}},
		{name: "500", bad: code(http.StatusInternalServerError), condition: fresh, want: []string{"500 Internal Server Error"}},
		{name: "a redirect to another host", bad: http.RedirectHandler(elsewhere, http.StatusFound).ServeHTTP, condition: fresh, want: []string{"redirects", "169.254.169.254 is not allowed"}},
		{name: "an endless body", bad: streams(1 << 40), condition: fresh, want: []string{"more than 67108864 bytes"}},
		{name: "a slow drip", bad: hangs("1"), condition: fresh, want: []string{"the server sent", "are needed"}},
		{name: "no answer", bad: hangs(""), condition: fresh, want: []string{"did not answer in time"}},
		{name: "a connection that ends too early", bad: announces(1<<20, good), condition: fresh, want: []string{"the connection ended before the document did"}},
		{name: "a feed of 2 GB", bad: announces(2<<30, good), condition: fresh, want: []string{"2147483648 bytes", "at most 67108864"}},
		{name: "a zip bomb", bad: says(string(zip(t, strings.Repeat("0", 64<<20)))), condition: fresh, want: []string{"once it is decompressed"}},
		{name: "a wrong checksum", source: summed, beside: map[string]string{".sum": sumOf(good)}, bad: says(more), badder: map[string]string{".sum": sumOf("else")}, condition: fresh, want: []string{"the checksum is sha256:" + sumOf(more)}},
		{name: "an expired signature", source: signed, beside: map[string]string{".minisig": sign(good, 0)}, bad: says(more), badder: map[string]string{".minisig": sign(more, 49*time.Hour)}, condition: fresh, want: []string{"the signature has expired", "signature.maxAge is 48h"}},
		{name: "a wrong signature", source: signed, beside: map[string]string{".minisig": sign(good, 0)}, bad: says(more), badder: map[string]string{".minisig": sign(good, 0)}, condition: fresh, want: []string{"the signature does not match the document and the public key"}},
		{name: "a Flux object that vanished", source: artifact, condition: fresh, want: []string{"GitRepository", "does not exist in namespace"}},
		{name: "half as long as yesterday", source: `http: {url: %s}, format: Lines, value: 1, limits: {maxChange: 20%%}`, bad: says(lines(badFeedLines / 2)), condition: accepted, want: []string{"removes 20", "limits.maxChange 20%"}},
		{name: "shorter than it can be", source: `http: {url: %s}, format: Lines, value: 1, limits: {minEntries: 30}`, bad: says(lines(29)), condition: accepted, want: []string{"makes 29 entries, fewer than limits.minEntries 30"}},
		{name: "empty", bad: says("# nothing\n"), condition: accepted, want: []string{"holds no entries", "spec.allowEmptySources"}},
		{name: "10 million lines for a map of a million", bad: streams(10_000_000), maxEntries: 1_000_000, condition: fresh, want: []string{"more than 67108864 bytes"}},
		{name: "more lines than the map has room for", bad: streams(100), condition: accepted, want: []string{"spec.maxEntries: 64 is less than the number of entries"}},
		{name: "one bad line", bad: says(good + "10.0.0.0/33\n"), condition: accepted, want: []string{"line 41", "10.0.0.0/33"}},
		{name: "the other address family", bad: says("2001:db8::/32\n"), condition: accepted, want: []string{"of the other address family"}},
		{name: "JSON that becomes HTML", source: jsonSource, good: jsonLines(badFeedLines), bad: says("\n<head><title>Moved</title></head>"), condition: fresh, want: []string{"HTML page"}},
		{name: "JSON that becomes CSV", source: jsonSource, good: jsonLines(badFeedLines), bad: says("cidr,name\n10.0.0.0/24,n\n"), condition: accepted, want: []string{"line 1, column 1", "invalid character 'c'"}},
		{name: "JSON that ends too early", source: jsonSource, good: jsonLines(badFeedLines), bad: says(strings.TrimSuffix(jsonLines(badFeedLines+1), "}\n")), condition: accepted, want: []string{"line 41", "unexpected end of input"}},
		{
			name: "an expression that fails on one item", good: jsonLines(badFeedLines), bad: says(jsonLines(badFeedLines) + `{"cidr": 7}` + "\n"), condition: accepted, want: []string{"line 41", "mapping.key.expression"},
			source: `http: {url: %s}, format: JSON, mapping: {key: {expression: "item.cidr.lowerAscii()"}}, value: 1`,
		},
		{
			name: "an expression that costs too much", good: jsonLines(badFeedLines), condition: accepted, want: []string{"line 1", "mapping.filter", "cost"},
			bad:    says(`{"cidr": "10.0.0.0/24", "list": [` + strings.Repeat("1,", 2000) + "1]}\n"),
			source: `http: {url: %s}, format: JSON, mapping: {filter: "!has(item.list) || item.list.all(a, item.list.all(b, a == b))", key: {path: cidr}}, value: 1`,
		},
	}
}

// since is how a message tells since when.
var since = regexp.MustCompile(`since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// TestBadFeeds takes feeds through the ways of badFeeds: the last good contents stay on the node, and why and since when
// is told.
func TestBadFeeds(t *testing.T) {
	s := newSite(t)
	w := newIdleWorld(t)
	allowed := fetching(t, s)
	w.options = func(o *cluster.Options) {
		allowed(o)
		o.Fetch.Limits = fetch.DefaultLimits()
		o.Fetch.Limits.Window, o.Fetch.Limits.Answer = 10*time.Second, 10*time.Second
	}
	w.start()
	w.installFlux()
	node := w.node(w.namespace)
	feeds := badFeeds(t)
	serve := func(bad bool) {
		s.set(func(rw http.ResponseWriter, r *http.Request) {
			var n int
			var suffix string
			if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err != nil || n >= len(feeds) {
				http.NotFound(rw, r)
				return
			}
			f, suffix := feeds[n], strings.TrimPrefix(r.URL.Path, fmt.Sprintf("/%d", n))
			text, isBeside := f.beside[suffix]
			if replaced, ok := f.badder[suffix]; bad && ok {
				text = replaced
			}
			switch {
			case isBeside:
				_, _ = io.WriteString(rw, text)
			case bad:
				f.bad(rw, r)
			case f.good != "":
				_, _ = io.WriteString(rw, f.good)
			default:
				_, _ = io.WriteString(rw, lines(badFeedLines))
			}
		})
	}
	serve(false)
	archive := archived(t, "drop.txt", lines(badFeedLines))
	var reports []v1alpha1.NodeMap
	for i := range feeds {
		m := w.createFed(s, i, &feeds[i], archive)
		reports = append(reports, ready(m, m.Name+"-1"))
	}
	w.report(node, reports...)
	before := map[int]*v1alpha1.BPFMap{}
	for i := range feeds {
		before[i] = w.awaitFeedReady(feedName(i))
	}
	serve(true)
	for i := range feeds {
		if feeds[i].bad == nil {
			w.deleteRepository(feedName(i))
		}
		w.fetchAgain(feedName(i))
	}
	for i := range feeds {
		t.Run(feeds[i].name, func(t *testing.T) { w.checkKept(t, before[i], &feeds[i]) })
	}
	t.Run("304 without a body before", func(t *testing.T) {
		s.set(code(http.StatusNotModified))
		w.create("blocklist", fmt.Sprintf(fetchedMap, s.URL+"/never"))
		m := w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "could not be fetched since", "304 Not Modified")
		if all := w.revisions("blocklist"); len(all) != 0 || m.Status.Entries != nil {
			t.Errorf("there are revisions %v of what was never sent", all)
		}
	})
}

func feedName(i int) string { return fmt.Sprintf("feed-%d", i) }

// createFed creates the map of a feed.
func (w *world) createFed(s *site, i int, f *badFeed, archive string) *v1alpha1.BPFMap {
	w.t.Helper()
	source, most := f.source, f.maxEntries
	if source == "" {
		source = `http: {url: %s}, format: Lines, value: 1`
	}
	if most == 0 {
		most = 64
	}
	url := fmt.Sprintf("%s/%d", s.URL, i)
	if strings.HasPrefix(source, "artifact") {
		source = strings.ReplaceAll(source, "NAME", feedName(i))
		w.createRepository(feedName(i), s, archive)
	} else {
		source = fmt.Sprintf(source, url)
	}
	return w.create(feedName(i), fmt.Sprintf(`
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: %d
  nodeSelector: {role: %s}
  entriesFrom: [{%s}]
`, most, w.namespace, source))
}

// awaitFeedReady waits until a map's contents are on its node.
func (w *world) awaitFeedReady(name string) *v1alpha1.BPFMap {
	w.t.Helper()
	w.awaitEntries(name, badFeedLines)
	return w.awaitCondition(name, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// checkKept waits until it is told what is wrong with a feed, and compares all else with what was before.
func (w *world) checkKept(t *testing.T, before *v1alpha1.BPFMap, f *badFeed) {
	var m *v1alpha1.BPFMap
	await.Nil(t, 10*limit, func() (err error) {
		if m, err = w.get(before.Name); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, f.condition)
		if c == nil || c.Status != metav1.ConditionFalse {
			return fmt.Errorf("condition %s is %+v, want False", f.condition, c)
		}
		for _, word := range f.want {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("condition %s says %q, want %q", f.condition, c.Message, word)
			}
		}
		if !since.MatchString(c.Message) {
			return fmt.Errorf("condition %s says %q, and not since when", f.condition, c.Message)
		}
		return nil
	})
	// What couldn't be fetched leaves all else as it was. What was fetched and is refused makes the map as a whole not Ready,
	// as its spec asks for other contents than the nodes have; they go on all the same.
	accepted, isReady := metav1.ConditionTrue, v1alpha1.ReasonReady
	if f.condition == v1alpha1.ConditionAccepted {
		accepted, isReady = metav1.ConditionFalse, v1alpha1.ReasonNotAccepted
	}
	if c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted); c.Status != accepted {
		t.Errorf("condition Accepted is %+v", c)
	}
	if c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady); c.Reason != isReady {
		t.Errorf("condition Ready is %+v", c)
	}
	if m.Status.UpdateRevision != before.Status.UpdateRevision || m.Status.CurrentRevision != before.Status.CurrentRevision || *m.Status.Entries != badFeedLines {
		t.Errorf("revision %s of %d entries, nodes are at %s", m.Status.UpdateRevision, *m.Status.Entries, m.Status.CurrentRevision)
	}
	if m.Status.Nodes != before.Status.Nodes || m.Status.Nodes.Ready != 1 || fmt.Sprint(m.Status.NodeStates) != fmt.Sprint(before.Status.NodeStates) {
		t.Errorf("nodes are %+v, were %+v; %+v, were %+v", m.Status.Nodes, before.Status.Nodes, m.Status.NodeStates, before.Status.NodeStates)
	}
	if all := w.revisions(m.Name); len(all) != 1 || !all[before.Status.UpdateRevision] {
		t.Errorf("revisions are %v", all)
	}
	if is, was := m.Status.Sources[0], before.Status.Sources[0]; is.Digest != was.Digest || is.Entries != was.Entries || is.Message == "" {
		t.Errorf("the source is %+v, was %+v", is, was)
	}
}
