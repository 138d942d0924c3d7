// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestHosts(t *testing.T) {
	p, err := NewPolicy("--hosts", []string{"lists.example.org", "*.example.net", "Mirror.Example.com.:8443", "203.0.113.7", "[2001:db8::1]:8080"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for u, want := range map[string]bool{
		"https://lists.example.org/drop.txt": true, "http://lists.example.org/": true, "https://LISTS.example.org./": true,
		"https://lists.example.org:443/": true, "http://lists.example.org:443/": true,
		"https://lists.example.org:8443/": false, "https://example.org/": false, "https://lists.example.org.evil.test/": false,
		"https://a.example.net/": true, "https://a.b.example.net/": true, "https://example.net/": false, "https://aexample.net/": false,
		"https://mirror.example.com:8443/": true, "https://mirror.example.com/": false,
		"https://203.0.113.7/": true, "https://203.0.113.8/": false, "http://[2001:db8::1]:8080/": true, "http://[2001:db8::1]/": false,
	} {
		parsed, err := ParseURL(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckURL(parsed); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", u, err, want)
		}
	}
	all, err := NewPolicy("--hosts", []string{"*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for u, want := range map[string]bool{"https://example.org/": true, "http://127.0.0.1/": false, "http://[::1]/": false, "https://example.org:22/": false} {
		parsed, _ := ParseURL(u)
		if err := all.CheckURL(parsed); (err == nil) != want {
			t.Errorf("* and %s: %v, want allowed %v", u, err, want)
		}
	}
	none, err := NewPolicy("--allowed-source-hosts", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := ParseURL("https://example.org/")
	if err := none.CheckURL(parsed); err == nil || !contains(err.Error(), "--allowed-source-hosts, which allows none") {
		t.Errorf("without hosts: %v", err)
	}
	for _, bad := range []string{"", "a b", "https://example.org", "example.org:0", "example.org:x", "a.*.org", "*.*"} {
		if _, err := NewPolicy("--hosts", []string{bad}, nil); err == nil {
			t.Errorf("host %q is taken", bad)
		}
	}
	for _, bad := range []string{"10.0.0.1", "0.0.0.0/0", "::/0", "8.8.8.0/24", "8.0.0.0/5"} {
		if _, err := NewPolicy("--hosts", nil, []string{bad}); err == nil {
			t.Errorf("network %q is taken", bad)
		}
	}
}

func TestURLs(t *testing.T) {
	for u, want := range map[string]string{
		"ftp://example.org/":          "must be http or https",
		"https:///x":                  "no host",
		"https://me:pw@example.org/":  "secretRef",
		"https://exa mple.org/?k=abc": "not valid",
	} {
		_, err := ParseURL(u)
		if err == nil || !contains(err.Error(), want) || strings.Contains(err.Error(), "abc") || strings.Contains(err.Error(), "pw@") {
			t.Errorf("%s: %v, want %q", u, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	api := netip.MustParseAddr("203.0.113.99")
	p, err := NewPolicy("--hosts", []string{"*"}, []string{"10.20.0.0/16", "fd00:1::/32"}, api)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"198.51.100.1": true, "2600::1": true, "10.20.3.4": true, "fd00:1::7": true, "::ffff:198.51.100.1": true, "64:ff9b::c633:6401": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::": false, "0.0.0.0": false, "10.0.0.1": false, "172.31.0.1": false,
		"192.168.1.1": false, "169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:2::1": false, "fd00:ec2::254": false, "100.64.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "203.0.113.99": false, "::ffff:127.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::7f00:1": false, "198.18.0.1": false,
	} {
		if err := p.CheckAddr(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", addr, err, want)
		}
	}
}

// TestNamesThatLeadInside: a host is allowed, and its name leads to an address that isn't; what it leads to is looked at
// when the connection is made, not before.
func TestNamesThatLeadInside(t *testing.T) {
	s := newSite(t, false)
	_, port, _ := strings.Cut(s.host(), ":")
	for name, to := range map[string]string{"localhost": "http://localhost:" + port, "an address": s.URL} {
		d := newDesk(t, func(c *Client) {
			p, err := NewPolicy("--allowed-source-hosts", []string{"localhost:" + port, s.host()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Policy = p
		})
		state := d.attempt(Spec{HTTP: &v1alpha1.HTTPSource{URL: to + "/drop.txt"}})
		if !contains(state.Failure, "is loopback", "--allowed-source-networks") && !contains(state.Failure, "loopback or unspecified") {
			t.Errorf("%s: failure is %q", name, state.Failure)
		}
	}
	if asked := s.requests(); len(asked) > 0 {
		t.Errorf("the server was asked: %v", asked[0].URL)
	}
}

func TestCheck(t *testing.T) {
	p, err := NewPolicy("--allowed-source-hosts", []string{"example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Policy: p}
	h := func(change func(*v1alpha1.HTTPSource)) Spec {
		s := &v1alpha1.HTTPSource{URL: "https://example.org/x"}
		change(s)
		return Spec{HTTP: s}
	}
	for _, tt := range []struct {
		spec Spec
		want string
	}{
		{h(func(*v1alpha1.HTTPSource) {}), ""},
		{h(func(s *v1alpha1.HTTPSource) { s.URL = "https://example.com/x" }), "host example.com is not allowed"},
		{h(func(s *v1alpha1.HTTPSource) { s.Checksum = &v1alpha1.SourceChecksum{URL: "https://sums.test/x"} }), "host sums.test is not allowed"},
		{h(func(s *v1alpha1.HTTPSource) { s.Signature = &v1alpha1.SourceSignature{URL: "https://sigs.test/x"} }), "host sigs.test is not allowed"},
		{Spec{Artifact: &v1alpha1.ArtifactSource{Kind: "Bucket", Name: "b", Path: "x"}}, "--artifact-sources"},
	} {
		if err := c.Check(tt.spec); (err == nil) != (tt.want == "") || err != nil && !contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.spec, err, tt.want)
		}
	}
	c.Artifacts = p
	for _, bad := range []string{"/etc/passwd", "../x", "a/../x", "a//x", "./x", ".", "..", "x/"} {
		if err := c.Check(Spec{Artifact: &v1alpha1.ArtifactSource{Path: bad}}); err == nil {
			t.Errorf("path %q is taken", bad)
		}
	}
}

func TestTLS(t *testing.T) {
	s := newSite(t, true)
	s.set(body(goodText))
	d := newDesk(t, nil, s)
	if state := d.attempt(web(s, "/a")); !contains(state.Failure, "certificate signed by unknown authority") {
		t.Errorf("failure is %q", state.Failure)
	}
	d.objects.data["Secret/feed"] = map[string][]byte{"ca.crt": s.ca(), "username": []byte("me"), "password": []byte("pw")}
	spec := web(s, "/b")
	spec.HTTP.SecretRef = &v1alpha1.FetchSecretRef{Name: "feed"}
	d.good(spec, goodText)
	asked := s.requests()
	if name, password, ok := asked[len(asked)-1].BasicAuth(); !ok || name != "me" || password != "pw" {
		t.Errorf("basic authentication is %q %q", name, password)
	}
	// To plain HTTP, and with credentials to another host, no redirect leads.
	plain := newSite(t, false)
	d2 := newDesk(t, nil, s, plain)
	d2.objects.data = d.objects.data
	open := web(s, "/c")
	open.HTTP.SecretRef = &v1alpha1.FetchSecretRef{Name: "feed"}
	s.set(http.RedirectHandler(plain.URL, http.StatusFound).ServeHTTP)
	if state := d2.attempt(open); !contains(state.Failure, "from https to http") {
		t.Errorf("failure is %q", state.Failure)
	}
	other := newSite(t, true)
	d3 := newDesk(t, nil, s, other)
	d3.objects.data = d.objects.data
	s.set(http.RedirectHandler(other.URL, http.StatusFound).ServeHTTP)
	if state := d3.attempt(open); !contains(state.Failure, other.host(), "credentials") || len(other.requests()) > 0 {
		t.Errorf("failure is %q", state.Failure)
	}
	for name, bad := range map[string]map[string][]byte{
		"exclude each other":       {"username": []byte("a"), "bearerToken": []byte("b")},
		"no certificate in PEM":    {"ca.crt": []byte("x")},
		"not a client certificate": {"tls.crt": []byte("x")},
	} {
		d.objects.data["Secret/feed"] = bad
		if state := d.attempt(spec); !contains(state.Failure, "Secret feed", name) || d.text(spec) != goodText {
			t.Errorf("failure is %q, want %q", state.Failure, name)
		}
	}
	delete(d.objects.data, "Secret/feed")
	if state := d.attempt(spec); !contains(state.Failure, "Secret feed does not exist") {
		t.Errorf("failure is %q", state.Failure)
	}
}

// TestProxies: a proxy's own address is checked, and the host that it is asked for, too.
func TestProxies(t *testing.T) {
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.URL.String())
		if r.URL.Host == "down.example.org" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		body(goodText)(w, r)
	}))
	defer proxy.Close()
	at, _ := url.Parse(proxy.URL)
	allow := func(hosts []string, networks ...string) func(*Client) {
		return func(c *Client) {
			p, err := NewPolicy("--allowed-source-hosts", hosts, networks)
			if err != nil {
				t.Fatal(err)
			}
			c.Policy = p
		}
	}
	spec := Spec{Namespace: "edge", HTTP: &v1alpha1.HTTPSource{URL: "http://lists.example.org/x", ProxySecretRef: &v1alpha1.FetchSecretRef{Name: "proxy"}}}
	for _, tt := range []struct {
		name  string
		allow func(*Client)
		want  string
	}{
		{"neither its host nor its address", allow([]string{"lists.example.org"}), "the proxy's host is not allowed"},
		{"not its address", allow([]string{"lists.example.org", at.Host}), "is loopback"},
		{"both", allow([]string{"lists.example.org", at.Host}, "127.0.0.0/8"), ""},
	} {
		d := newDesk(t, tt.allow)
		d.objects.data["Secret/proxy"] = map[string][]byte{"address": []byte(proxy.URL)}
		if state := d.attempt(spec); (state.Failure == "") != (tt.want == "") || !contains(state.Failure, tt.want) || contains(state.Failure, "127.0.0.1") {
			t.Errorf("%s: failure is %q, want %q", tt.name, state.Failure, tt.want)
		}
	}
	// The administrator's own may be anywhere.
	d := newDesk(t, func(c *Client) { allow([]string{"*.example.org"})(c); c.Proxy = at })
	d.good(Spec{HTTP: &v1alpha1.HTTPSource{URL: "http://lists.example.org/y"}}, goodText)
	down := Spec{HTTP: &v1alpha1.HTTPSource{URL: "http://down.example.org/y"}}
	if state := d.attempt(down); !contains(state.Failure, "502 Bad Gateway") {
		t.Errorf("failure is %q", state.Failure)
	}
	if len(through) != 3 {
		t.Errorf("through the proxy: %v", through)
	}
}
