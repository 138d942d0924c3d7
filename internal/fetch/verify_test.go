// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"aead.dev/minisign"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestMinisign(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, false)
	d := newDesk(t, nil, s)
	spec := web(s, "/drop.txt")
	spec.HTTP.Signature = &v1alpha1.SourceSignature{Type: v1alpha1.SignatureMinisign, PublicKey: public.String(), MaxAge: metav1.Duration{Duration: 48 * time.Hour}}
	sign := func(key minisign.PrivateKey, text, comment string) string {
		return string(minisign.SignWithComments(key, []byte(text), comment, "untrusted"))
	}
	at := func(age time.Duration) string {
		return fmt.Sprintf("timestamp:%d\tfile:drop.txt", time.Now().Add(-age).Unix())
	}
	publish := func(text, signature string) {
		s.set(files(map[string]string{"/drop.txt": text, "/drop.txt.minisig": signature}))
	}
	publish(goodText, sign(private, goodText, at(time.Hour)))
	first := d.good(spec, goodText)
	swapped := sign(private, "evil\n", at(72*time.Hour))
	swapped = string(replaceComment([]byte(swapped), at(0)))
	for name, c := range map[string]struct{ text, signature, want string }{
		"expired":                {"new\n", sign(private, "new\n", at(49*time.Hour)), "the signature has expired"},
		"from the future":        {"new\n", sign(private, "new\n", at(-time.Hour)), "in the future"},
		"no time":                {"new\n", sign(private, "new\n", "hello"), "no timestamp"},
		"of another text":        {"new\n", sign(private, "old\n", at(0)), "does not match"},
		"by another key":         {"new\n", sign(stranger, "new\n", at(0)), "not of key"},
		"with another comment":   {"evil\n", swapped, "does not match"},
		"not one":                {"new\n", "<html>", "not one of minisign"},
		"the same text, expired": {goodText, sign(private, goodText, at(49*time.Hour)), "the signature has expired"},
	} {
		publish(c.text, c.signature)
		if state := d.attempt(spec); !contains(state.Failure, c.want) || d.text(spec) != goodText || state.Meta != first.Meta {
			t.Errorf("%s: failure is %q, want %q", name, state.Failure, c.want)
		}
	}
	s.set(files(map[string]string{"/drop.txt": "new\n"}))
	if state := d.attempt(spec); !contains(state.Failure, "fetch the signature", "404") {
		t.Errorf("without a signature: %q", state.Failure)
	}
	publish("new\n", sign(private, "new\n", at(0)))
	d.good(spec, "new\n")
}

// TestConditionalSignature: a document that hasn't changed isn't sent again, as long as it is known by the same signature
// and key. Everything else is checked as a whole, and a signature ages all the same.
func TestConditionalSignature(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherPublic, other, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, false)
	var ahead atomic.Int64
	d := newDesk(t, func(c *Client) { c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } }, s)
	useKey := func(key minisign.PublicKey) {
		d.objects.set("ConfigMap/keys", map[string][]byte{"pub": []byte(key.String())})
	}
	useKey(public)
	spec := web(s, "/drop.txt")
	spec.HTTP.Signature = &v1alpha1.SourceSignature{
		Type: v1alpha1.SignatureMinisign, MaxAge: metav1.Duration{Duration: 48 * time.Hour},
		PublicKeyFrom: &v1alpha1.PublicKeySource{ConfigMapRef: &v1alpha1.SourceRef{Name: "keys", Key: "pub"}},
	}
	sign := func(key minisign.PrivateKey, text string) string {
		return string(minisign.SignWithComments(key, []byte(text), fmt.Sprintf("timestamp:%d", d.now().Unix()), ""))
	}
	var bodies atomic.Int32
	publish := func(text, signature string) {
		s.set(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/drop.txt" {
				_, _ = io.WriteString(w, signature)
				return
			}
			if w.Header().Set("ETag", `"`+digest(text)+`"`); r.Header.Get("If-None-Match") == `"`+digest(text)+`"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			bodies.Add(1)
			_, _ = io.WriteString(w, text)
		})
	}
	step := func(what string, sent int32, failure string) {
		t.Helper()
		before := bodies.Load()
		state := d.attempt(spec)
		if n := bodies.Load() - before; n != sent || failure == "" && state.Failure != "" || !contains(state.Failure, failure) {
			t.Errorf("%s: the document was sent %d times, want %d; failure is %q, want %q", what, n, sent, state.Failure, failure)
		}
	}
	first := sign(private, goodText)
	publish(goodText, first)
	step("at first", 1, "")
	step("again", 0, "")
	ahead.Store(int64(49 * time.Hour))
	step("when it is old", 0, "the signature has expired")
	publish(goodText, sign(private, goodText))
	step("signed anew", 1, "")
	step("again", 0, "")
	publish(goodText, sign(other, goodText))
	step("signed by another key", 1, "not of key")
	publish(goodText, "")
	step("without a signature", 1, "not one of minisign")
	useKey(otherPublic)
	publish(goodText, sign(private, goodText))
	step("with another key", 1, "not of key")
	publish(goodText, sign(other, goodText))
	step("signed by it", 1, "")
	publish("tampered\n", sign(other, goodText))
	step("tampered with", 1, "does not match")
	if d.text(spec) != goodText {
		t.Errorf("the text is %q", d.text(spec))
	}
	publish("new\n", sign(other, "new\n"))
	step("new", 1, "")

	// With a checksum, too, the document isn't even asked for.
	spec.HTTP.Checksum = &v1alpha1.SourceChecksum{SHA256: digest("new\n")}
	step("with a checksum", 1, "")
	before := len(s.requests())
	step("again", 0, "")
	if asked := s.requests()[before:]; len(asked) != 1 || asked[0].URL.Path != "/drop.txt.minisig" {
		t.Errorf("asked for %v", asked)
	}
}

// replaceComment changes the trusted comment of a signature.
func replaceComment(signature []byte, comment string) []byte {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		panic(err)
	}
	s.TrustedComment = comment
	text, err := s.MarshalText()
	if err != nil {
		panic(err)
	}
	return text
}

func TestCosign(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecSign := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		der, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der) + "\n"
	}
	edSign := func(text string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(edPrivate, []byte(text)))
	}
	for name, c := range map[string]struct {
		public any
		sign   func(string) string
	}{"ECDSA": {&private.PublicKey, ecSign}, "Ed25519": {edPublic, edSign}} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.MarshalPKIXPublicKey(c.public)
			if err != nil {
				t.Fatal(err)
			}
			s := newSite(t, false)
			d := newDesk(t, nil, s)
			key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			d.objects.data["ConfigMap/keys"] = map[string][]byte{"cosign.pub": key}
			spec := web(s, "/drop.txt")
			spec.HTTP.Signature = &v1alpha1.SourceSignature{
				Type: v1alpha1.SignatureCosign, URL: s.URL + "/signature",
				PublicKeyFrom: &v1alpha1.PublicKeySource{ConfigMapRef: &v1alpha1.SourceRef{Name: "keys", Key: "cosign.pub"}},
			}
			publish := func(text, signature string) {
				s.set(files(map[string]string{"/drop.txt": text, "/signature": signature}))
			}
			publish(goodText, c.sign(goodText))
			d.good(spec, goodText)
			for bad, want := range map[string]string{c.sign("other"): "does not match", "%%%": "not base64", "": "does not match"} {
				publish("new\n", bad)
				if state := d.attempt(spec); !contains(state.Failure, want) || d.text(spec) != goodText {
					t.Errorf("%q: failure is %q, want %q", bad, state.Failure, want)
				}
			}
			d.objects.data["ConfigMap/keys"] = map[string][]byte{"cosign.pub": []byte("x")}
			if state := d.attempt(spec); !contains(state.Failure, "not in PEM") {
				t.Errorf("failure is %q", state.Failure)
			}
			d.objects.data["ConfigMap/keys"] = map[string][]byte{"x": nil}
			if state := d.attempt(spec); !contains(state.Failure, "has no key cosign.pub") {
				t.Errorf("failure is %q", state.Failure)
			}
		})
	}
}
