// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificate makes TLS certificates for tests, in folders as Secrets are mounted.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	// Certificate is its own.
	Certificate *x509.Certificate

	t    *testing.T
	key  *ecdsa.PrivateKey
	next int64
}

// NewAuthority makes one with a key of its own.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	a := &Authority{t: t, next: 1}
	a.Certificate, a.key = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *Authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(a.next), time.Now().Add(time.Hour)
	a.next++
	parent, signer := a.Certificate, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

// Write renews the certificate in a folder as the volume of a Secret does: by a symbolic link that is swapped.
func (a *Authority) Write(dir, name string) *x509.Certificate {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{DNSNames: []string{name}})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	data, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert.Raw}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(data, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
		if link := filepath.Join(dir, file); !exists(link) {
			if err := os.Symlink(filepath.Join("..data", file), link); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	next := filepath.Join(dir, "..next")
	if err := os.Symlink(filepath.Base(data), next); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
