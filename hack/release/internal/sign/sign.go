// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sign signs what is released with a key of ECDSA on P-256, in the formats that cosign reads: signatures of files,
// DSSE envelopes of attestations, and the payloads that are stored beside images.
//
// Signatures are made without randomness (RFC 6979): the same key and the same input make the same bytes.
package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Key signs. It is nil where nothing is signed.
type Key struct{ private *ecdsa.PrivateKey }

// ErrSignature says that something isn't signed by the key that it should be signed by.
var ErrSignature = errors.New("the signature isn't this key's of this content")

// ParseKey reads a private key in PEM: PKCS #8, SEC 1 as openssl ecparam writes it, or the encrypted one that cosign
// generate-key-pair writes, for which password is needed.
func ParseKey(text, password []byte) (*Key, error) {
	var block *pem.Block
	for rest := text; ; {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("read the signing key: no private key in PEM")
		}
		if block.Type != "EC PARAMETERS" { // openssl ecparam writes them before the key
			break
		}
	}
	der := block.Bytes
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		plain, err := encrypted.Decrypt(der, password)
		if err != nil {
			return nil, fmt.Errorf("decrypt the signing key: %w", err)
		}
		der = plain
	case "EC PRIVATE KEY":
		k, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("read the signing key: %w", err)
		}
		return onP256(k)
	case "PRIVATE KEY":
	default:
		return nil, fmt.Errorf("read the signing key: PEM of %q, must be PRIVATE KEY, EC PRIVATE KEY or ENCRYPTED SIGSTORE PRIVATE KEY", block.Type)
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	return onP256(k)
}

func onP256(k any) (*Key, error) {
	private, ok := k.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("read the signing key: must be one of ECDSA on P-256")
	}
	return &Key{private}, nil
}

// Public is the key to verify with, in PEM, as cosign and openssl read it.
func (k *Key) Public() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Sign is the signature of content, ASN.1 of ECDSA over its SHA-256.
func (k *Key) Sign(_ context.Context, content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	signature, err := k.private.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature, nil
}

// KeyID is empty: cosign names no keys in envelopes.
func (*Key) KeyID() (string, error) { return "", nil }

// Blob is a file's signature as cosign sign-blob writes it: base64 in one line.
func (k *Key) Blob(ctx context.Context, content []byte) ([]byte, error) {
	signature, err := k.Sign(ctx, content)
	return []byte(base64.StdEncoding.EncodeToString(signature)), err
}

// Envelope is a DSSE envelope of an in-toto statement, in one line.
func (k *Key) Envelope(ctx context.Context, statement []byte) ([]byte, error) {
	signer, err := dsse.NewEnvelopeSigner(k)
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	e, err := signer.SignPayload(ctx, StatementType, statement)
	if err != nil {
		return nil, fmt.Errorf("sign a statement: %w", err)
	}
	text, err := json.Marshal(e)
	return append(text, '\n'), err
}

// StatementType is the type of in-toto's statements in envelopes.
const StatementType = "application/vnd.in-toto+json"

// imagePayload is what cosign signs of an image ("simple signing").
type imagePayload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

// Image is the payload for an image and its signature, in base64.
func (k *Key) Image(ctx context.Context, repository, digest string) (payload []byte, signature string, err error) {
	var p imagePayload
	p.Critical.Identity.Reference, p.Critical.Image.Digest, p.Critical.Type = repository, digest, "cosign container image signature"
	if payload, err = json.Marshal(p); err != nil {
		return nil, "", fmt.Errorf("sign %s: %w", repository, err)
	}
	blob, err := k.Blob(ctx, payload)
	return payload, string(blob), err
}

// Verify holds content to a signature that Blob made and a public key in PEM.
func Verify(public, content, blob []byte) error {
	block, _ := pem.Decode(public)
	if block == nil {
		return errors.New("read the public key: no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("read the public key: %w", err)
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return errors.New("read the public key: must be one of ECDSA")
	}
	signature, err := base64.StdEncoding.DecodeString(string(blob))
	if err != nil {
		return fmt.Errorf("read the signature: %w", err)
	}
	if sum := sha256.Sum256(content); !ecdsa.VerifyASN1(k, sum[:], signature) {
		return ErrSignature
	}
	return nil
}
