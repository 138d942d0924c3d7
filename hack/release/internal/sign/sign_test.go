// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

func TestKeys(t *testing.T) {
	private := generate(t, elliptic.P256())
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := encrypted.Encrypt(pkcs8, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	var made [][]byte
	for _, text := range [][]byte{
		block("PRIVATE KEY", pkcs8),
		append(block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), block("EC PRIVATE KEY", sec1)...),
		block("ENCRYPTED SIGSTORE PRIVATE KEY", closed),
	} {
		key, err := ParseKey(text, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Blob(t.Context(), []byte("content"))
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.Public()
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(public, []byte("content"), signature); err != nil {
			t.Error(err)
		}
		if Verify(public, []byte("Content"), signature) == nil {
			t.Error("the signature also fits another content")
		}
		made = append(made, signature)
	}
	if !bytes.Equal(made[0], made[1]) || !bytes.Equal(made[0], made[2]) {
		t.Errorf("one key made several signatures of one content: %s", made)
	}
}

func TestKeysRefused(t *testing.T) {
	other, err := x509.MarshalPKCS8PrivateKey(generate(t, elliptic.P384()))
	if err != nil {
		t.Fatal(err)
	}
	closed, err := encrypted.Encrypt(other, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text []byte
		said string
	}{
		{nil, "no private key in PEM"},
		{[]byte("x"), "no private key in PEM"},
		{block("CERTIFICATE", other), `PEM of "CERTIFICATE", must be`},
		{block("PRIVATE KEY", other), "must be one of ECDSA on P-256"},
		{block("PRIVATE KEY", []byte("x")), "read the signing key"},
		{block("ENCRYPTED SIGSTORE PRIVATE KEY", closed), "decrypt the signing key"},
	} {
		if _, err := ParseKey(c.text, []byte("wrong")); err == nil || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s: %v, want %q", c.text, err, c.said)
		}
	}
}

func generate(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
