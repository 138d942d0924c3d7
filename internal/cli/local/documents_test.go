// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func feedManifest(source string) string {
	return `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: feed}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 16
  entriesFrom: [{` + source + `, format: Lines, value: 1}]
`
}

func TestValidateFetches(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if _, password, _ := r.BasicAuth(); r.URL.Path == "/private" && password != "pw" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/page" {
			_, _ = io.WriteString(w, "<html>")
			return
		}
		_, _ = io.WriteString(w, "192.0.2.0/24\n198.51.100.0/24\n")
	}))
	defer server.Close()
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {username: me, password: pw}\n---\n"
	two := strings.Replace(feedManifest(`http: {url: "`+server.URL+`/a"}`), "name: feed", "name: other", 1)
	for _, tt := range []struct {
		name, text string
		args       []string
		want       string
		asks       int
	}{
		{"one document of two maps", feedManifest(`http: {url: "`+server.URL+`/a"}`) + "---\n" + two, nil, "2 of 16 entries", 1},
		{"a Secret among the manifests", secret + feedManifest(`http: {url: "`+server.URL+`/private", secretRef: {name: login}}`), nil, "2 of 16 entries", 1},
		{"no Secret", feedManifest(`http: {url: "` + server.URL + `/private", secretRef: {name: login}}`), nil, "Secret login does not exist", 0},
		{"a page", feedManifest(`http: {url: "` + server.URL + `/page"}`), nil, "spec.entriesFrom[0] (" + server.URL + "/page): could not be fetched: the server answers with an HTML page", 1},
		{"offline", feedManifest(`http: {url: "` + server.URL + `/a"}`), []string{"--offline"}, "is not fetched with --offline", 0},
		{"an artifact", feedManifest(`artifact: {kind: Bucket, name: b, path: x}`), nil, "artifacts are known to a cluster alone", 0},
	} {
		before := asked
		r := runWith(t, tt.text, append([]string{"validate", "-f", "-"}, tt.args...)...)
		if !strings.Contains(r.out+r.errOut, tt.want) {
			t.Errorf("%s: want %q:\n%s", tt.name, tt.want, r)
		}
		if asked-before != tt.asks {
			t.Errorf("%s: the server was asked %d times, want %d", tt.name, asked-before, tt.asks)
		}
	}
}

func TestValidateFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("lists/drop.txt", "192.0.2.0/24\n")
	beside := write("maps/feed.yaml", feedManifest(`file: {path: ../lists/drop.txt}`))
	if out := ok(t, "validate", "-f", beside); !strings.Contains(out, "1 of 16 entries") {
		t.Errorf("a file beside the manifest: %s", out)
	}
	for path, want := range map[string]string{
		"../lists/none.txt": "no such file", "../lists": "is not a regular file", "/dev/zero": "is not a regular file",
	} {
		bad := write("maps/bad.yaml", feedManifest(fmt.Sprintf("file: {path: %s}", path)))
		if text := fails(t, "validate", "-f", bad); !strings.Contains(text, want) || !strings.Contains(text, "spec.entriesFrom[0] (file "+path+")") {
			t.Errorf("%s: %q, want %q", path, text, want)
		}
	}
	config := write("maps/config.yaml", feedManifest(`configMapRef: {name: lists, key: drop.txt}`))
	if out := ok(t, "validate", "-f", config, "--from-file", "lists="+filepath.Join(dir, "lists/drop.txt")); !strings.Contains(out, "1 of 16 entries") {
		t.Errorf("--from-file: %s", out)
	}
	if r := run(t, "validate", "-f", config, "--from-file", "drop.txt"); !strings.Contains(r.errOut, "must be NAME=PATH") {
		t.Errorf("--from-file without a name: %s", r)
	}
}

// TestFetchedSamples fetches what the samples name from a server that has it, with its login, checksum and signature.
func TestFetchedSamples(t *testing.T) {
	drop := "; a comment\n" + prefixes(600)
	files := map[string]string{"/drop.txt.gz": gzipped(t, drop), "/own.csv": "prefix,rule\n192.0.2.0/24,7\n198.51.100.0/24,8\n"}
	sum := sha256.Sum256([]byte(files["/drop.txt.gz"]))
	files["/SHA256SUMS"] = hex.EncodeToString(sum[:]) + "  drop.txt.gz\n"
	for _, name := range []string{"drop.json", "drop.json.minisig"} {
		files["/private/"+name] = read(t, filepath.Join("testdata", "fetched", name))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		text, ok := files[r.URL.Path]
		switch {
		case strings.HasPrefix(r.URL.Path, "/private/") && (name != "edge" || password != "change-me"):
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			http.NotFound(w, r)
		default:
			_, _ = io.WriteString(w, text)
		}
	}))
	t.Cleanup(server.Close)
	sample := func(name string, changes ...string) string {
		text := strings.NewReplacer(append(changes, "https://lists.example.org", server.URL)...).Replace(read(t, filepath.Join(samples, "fetched", name)))
		if strings.Contains(text, "artifact:") {
			t.Fatalf("the sample has another artifact than the test knows: %s", text)
		}
		return text
	}
	fetched := sample("fetched.yaml", "artifact: {kind: GitRepository, name: feeds, path: lists/own.csv}", "http: {url: "+server.URL+"/own.csv}")
	const old = "maxAge: 876000h" // the signature is of 2026-01-02
	for name, c := range map[string]struct{ text, want string }{
		"fetched":              {fetched, "602 of 100000 entries"},
		"signed":               {sample("signed.yaml", "maxAge: 72h", old), "121 of 100000 entries"},
		"signed too long ago":  {sample("signed.yaml"), "the signature has expired: it is of 2026-01-02T00:00:00Z, and signature.maxAge is 72h0m0s"},
		"with another login":   {sample("signed.yaml", "change-me", "changed"), "401 Unauthorized"},
		"signed by some other": {sample("signed.yaml", "maxAge: 72h", old, "minisign.pub: RW", "minisign.pub: RX"), "public key"},
	} {
		if r := runWith(t, c.text, "validate", "-f", "-"); !strings.Contains(r.out+r.errOut, c.want) {
			t.Errorf("%s: want %q:\n%s", name, c.want, r)
		}
	}
	files["/private/drop.json"] = strings.Replace(files["/private/drop.json"], "10.0.0.0/24", "10.0.0.0/8", 1)
	if r := runWith(t, sample("signed.yaml", "maxAge: 72h", old), "validate", "-f", "-"); !strings.Contains(r.errOut, "the signature does not match") || strings.Contains(r.errOut, "minEntries") {
		t.Errorf("a document that was tampered with:\n%s", r)
	}

	// Without a network, why there are no entries is said once for each source, and nothing that follows from it.
	got := fails(t, "validate", "--offline", "-f", filepath.Join(samples, "fetched", "fetched.yaml"), "-f", filepath.Join(samples, "fetched", "signed.yaml"))
	for _, want := range []string{"drop.txt.gz", "artifacts are known to a cluster alone", "drop.json"} {
		if n := strings.Count(got, want); n != 1 {
			t.Errorf("%q is said %d times:\n%s", want, n, got)
		}
	}
	if strings.Contains(got, "minEntries") || strings.Count(got, "is not fetched with --offline") != 2 {
		t.Errorf("validate prints\n%s", got)
	}
}

// prefixes are lines of prefixes none of which can be merged with another one.
func prefixes(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "10.%d.%d.0/24\n", i/100, 2*(i%100))
	}
	return text.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestLifetimesNeedAMemory: apply and diff can't know since when a source holds a key; validate checks manifests for those
// who can.
func TestLifetimesNeedAMemory(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: list}\ndata: {a: 192.0.2.0/24}\n---\n" +
		feedManifest(`configMapRef: {name: list, key: a}, expireAfter: 24h`)
	want := "spec.entriesFrom[0].expireAfter: 24h0m0s: only the controller remembers"
	for _, command := range []string{"apply", "diff"} {
		if r := runWith(t, text, command, "-f", "-"); r.code == 0 || !strings.Contains(r.errOut, want) || !strings.Contains(r.errOut, "mapping.expires") {
			t.Errorf("%s: want %q:\n%s", command, want, r)
		}
	}
	if r := runWith(t, text, "validate", "-f", "-"); r.code != 0 || !strings.Contains(r.out, "1 of 16 entries") {
		t.Errorf("validate:\n%s", r)
	}
	text = strings.Replace(text, "24h", "30s", 1)
	if r := runWith(t, text, "validate", "-f", "-"); r.code == 0 || !strings.Contains(r.errOut, "spec.entriesFrom[0].expireAfter: 30s is out of range (1m…87600h)") {
		t.Errorf("validate of 30s:\n%s", r)
	}
}
