// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"aead.dev/minisign"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// checksum is the digest that a document has to have; empty if the spec asks for none.
func (c *Client) checksum(ctx context.Context, with *session, h *v1alpha1.HTTPSource) (string, error) {
	switch {
	case h.Checksum == nil:
		return "", nil
	case h.Checksum.SHA256 != "":
		return "sha256:" + strings.ToLower(h.Checksum.SHA256), nil
	}
	var file bytes.Buffer
	if _, err := with.get(ctx, request{url: h.Checksum.URL, most: maxChecksumBytes}, &file); err != nil {
		return "", fmt.Errorf("fetch the checksum: %w", err)
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return "", cause(err)
	}
	sum, err := findChecksum(file.String(), path.Base(u.Path))
	if err != nil {
		return "", fmt.Errorf("the checksum's file: %w", err)
	}
	return "sha256:" + sum, nil
}

// findChecksum finds the SHA-256 of a file in what sha256sum writes: lines of a checksum and a name. A single line
// doesn't need the name.
func findChecksum(text, file string) (string, error) {
	var found []string
	var named string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		sum, err := hex.DecodeString(fields[0])
		if err != nil || len(sum) != 32 || len(fields) > 2 {
			return "", errors.New("is not of lines as sha256sum writes them")
		}
		found = append(found, strings.ToLower(fields[0]))
		if len(fields) == 2 && path.Base(strings.TrimPrefix(fields[1], "*")) == file {
			if named != "" && named != found[len(found)-1] {
				return "", fmt.Errorf("has two checksums for %s", file)
			}
			named = found[len(found)-1]
		}
	}
	switch {
	case named != "":
		return named, nil
	case len(found) == 1:
		return found[0], nil
	}
	return "", fmt.Errorf("has %d lines, and none for %s", len(found), file)
}

// signature fetches the signature of a document.
func (c *Client) signature(ctx context.Context, with *session, h *v1alpha1.HTTPSource) ([]byte, error) {
	at := h.Signature.URL
	if at == "" {
		u, err := url.Parse(h.URL)
		if err != nil {
			return nil, cause(err)
		}
		suffix := map[v1alpha1.SignatureType]string{v1alpha1.SignatureMinisign: ".minisig", v1alpha1.SignatureCosign: ".sig"}[h.Signature.Type]
		u.Path, u.RawPath = u.Path+suffix, ""
		at = u.String()
	}
	var signature bytes.Buffer
	if _, err := with.get(ctx, request{url: at, most: maxSignatureBytes}, &signature); err != nil {
		return nil, fmt.Errorf("fetch the signature: %w", err)
	}
	return signature.Bytes(), nil
}

// signatureID identifies a signature and the key that it is checked with. What was valid with it stays so: a document that
// hasn't changed since needn't be sent again.
func signatureID(h *v1alpha1.HTTPSource, key, signature []byte) string {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(h.Signature.Type), key, signature} {
		own := sha256.Sum256(part)
		sum.Write(own[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// verify checks the signature of a document, and its age. sum is the SHA-256 of the document.
func (c *Client) verify(h *v1alpha1.HTTPSource, key, signature []byte, raw *os.File, sum []byte) error {
	var err error
	if h.Signature.Type == v1alpha1.SignatureCosign {
		err = c.checkCosign(key, signature, raw, sum)
	} else {
		err = c.checkMinisign(key, signature, raw)
	}
	if err != nil {
		return err
	}
	return c.checkAge(h, signature)
}

// checkAge checks the time in a signature that is known to be valid, if there is a bound for it.
func (c *Client) checkAge(h *v1alpha1.HTTPSource, signature []byte) error {
	if h.Signature == nil || h.Signature.Type != v1alpha1.SignatureMinisign || h.Signature.MaxAge.Duration <= 0 {
		return nil
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return errors.New("the signature is not one of minisign")
	}
	return checkAge(s.TrustedComment, h.Signature.MaxAge.Duration, c.Clock.now())
}

// errSignature is that of a document that isn't what was signed, or wasn't by this key.
var errSignature = errors.New("the signature does not match the document and the public key")

func (c *Client) checkMinisign(key, signature []byte, raw *os.File) error {
	var public minisign.PublicKey
	if err := public.UnmarshalText(bytes.TrimSpace(key)); err != nil {
		return errors.New("the public key is not one of minisign")
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return errors.New("the signature is not one of minisign")
	}
	if s.KeyID != public.ID() {
		return fmt.Errorf("the signature is of key %016X, not of key %016X", s.KeyID, public.ID())
	}
	c.verifying.Lock()
	defer c.verifying.Unlock()
	message, err := wholeOf(raw)
	if err != nil {
		return err
	}
	if !minisign.Verify(public, message, signature) {
		return errSignature
	}
	return nil
}

// maxAhead is how far the clock of a signer may be ahead.
const maxAhead = 5 * time.Minute

// checkAge checks the time in a trusted comment, which the signature covers.
func checkAge(comment string, maxAge time.Duration, now time.Time) error {
	for _, field := range strings.Fields(comment) {
		text, ok := strings.CutPrefix(field, "timestamp:")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			break
		}
		signed := time.Unix(seconds, 0)
		switch {
		case now.Sub(signed) > maxAge:
			return fmt.Errorf("the signature has expired: it is of %s, and signature.maxAge is %s", signed.UTC().Format(time.RFC3339), maxAge)
		case signed.Sub(now) > maxAhead:
			return fmt.Errorf("the signature is of %s, which is in the future", signed.UTC().Format(time.RFC3339))
		}
		return nil
	}
	return errors.New("the signature's trusted comment has no timestamp:SECONDS, which signature.maxAge needs")
}

// checkCosign checks what "cosign sign-blob --key" writes. sum is the SHA-256 of the document.
func (c *Client) checkCosign(key, signature []byte, raw *os.File, sum []byte) error {
	block, _ := pem.Decode(key)
	if block == nil {
		return errors.New("the public key is not in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return errors.New("the public key is not a valid one (PKIX)")
	}
	der, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(signature)))
	if err != nil {
		return errors.New("the signature is not base64, as cosign sign-blob writes it")
	}
	var valid bool
	switch public := parsed.(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(public, sum, der)
	case ed25519.PublicKey:
		c.verifying.Lock()
		defer c.verifying.Unlock()
		message, err := wholeOf(raw)
		if err != nil {
			return err
		}
		valid = ed25519.Verify(public, message, der)
	default:
		return fmt.Errorf("the public key is a %T: must be of ECDSA or Ed25519", parsed)
	}
	if !valid {
		return errSignature
	}
	return nil
}

// wholeOf reads a document, whose length was bounded when it was written.
func wholeOf(raw *os.File) ([]byte, error) {
	if _, err := raw.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	all, err := io.ReadAll(raw)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	return all, nil
}
