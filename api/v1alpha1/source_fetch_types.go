// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AnnotationFetchRequestedAt on a BPFMap has its http and artifact sources fetched anew whenever its value changes.
const AnnotationFetchRequestedAt = "bpfmap.io/fetch-requested-at"

// HTTPSource is a document that the controller fetches by HTTP or HTTPS. It may be compressed by gzip, zstd, or as the
// only file of a zip archive, to at most 64 MiB before and after.
type HTTPSource struct {
	// url is the document's address. The administrator has to allow its host, and those of redirects, by the
	// controller's --allowed-source-hosts. Ports other than 80 and 443 have to be allowed with the host. Names and
	// passwords belong into secretRef.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+([/?][^#]*)?$`
	URL string `json:"url"`

	// interval is the time between two fetches, to which up to a tenth is added at random; 1h if not given. The
	// administrator may have set a longer least interval. A document that hasn't changed isn't transferred again, if
	// the server says so (ETag, Last-Modified).
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('720h')",message="must be between 10s and 720h"
	Interval metav1.Duration `json:"interval,omitzero"`

	// secretRef is a Secret of the BPFMap's namespace with what the server asks for, each optional: username and
	// password (basic authentication), bearerToken, ca.crt (certificates that are trusted instead of the
	// system's), tls.crt and tls.key (a client certificate). With a secretRef, redirects to other hosts are errors.
	// +optional
	SecretRef *FetchSecretRef `json:"secretRef,omitempty"`

	// proxySecretRef is a Secret with a proxy: address (http://proxy.example:3128, whose host has to be allowed, too),
	// and optionally username and password.
	// +optional
	ProxySecretRef *FetchSecretRef `json:"proxySecretRef,omitempty"`

	// checksum is what the document has to match.
	// +optional
	Checksum *SourceChecksum `json:"checksum,omitempty"`

	// signature is the signature that the document has to have.
	// +optional
	Signature *SourceSignature `json:"signature,omitempty"`
}

// FetchSecretRef names a Secret of the BPFMap's namespace.
type FetchSecretRef struct {
	// name is the Secret's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SourceChecksum is the SHA-256 of a document as the server sends it, before it is decompressed.
//
// +kubebuilder:validation:XValidation:rule="has(self.sha256) != has(self.url)",message="exactly one of sha256 and url is needed"
type SourceChecksum struct {
	// sha256 is the checksum in hexadecimal digits.
	// +optional
	// +kubebuilder:validation:Pattern="^[0-9a-fA-F]{64}$"
	SHA256 string `json:"sha256,omitempty"`

	// url is a file as sha256sum writes it: the line of the document's file name, or the only line. It is fetched
	// under the same rules as the document.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+([/?][^#]*)?$`
	URL string `json:"url,omitempty"`
}

// SignatureType is a format of detached signatures.
//
// +kubebuilder:validation:Enum=Minisign;Cosign
type SignatureType string

// The formats of signatures.
const (
	// SignatureMinisign is minisign's: https://jedisct1.github.io/minisign/.
	SignatureMinisign SignatureType = "Minisign"
	// SignatureCosign is that of "cosign sign-blob --key": base64 of an ECDSA signature of the SHA-256, or of an Ed25519
	// signature. Certificates and transparency logs aren't looked at.
	SignatureCosign SignatureType = "Cosign"
)

// SourceSignature is the detached signature of a document as the server sends it, before it is decompressed.
//
// +kubebuilder:validation:XValidation:rule="has(self.publicKey) != has(self.publicKeyFrom)",message="exactly one of publicKey and publicKeyFrom is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.maxAge) || self.type == 'Minisign'",message="maxAge needs the type Minisign: signatures of cosign have no time"
type SourceSignature struct {
	// type is the signature's format.
	// +required
	Type SignatureType `json:"type"`

	// url is where the signature is; the document's URL with .minisig or .sig behind its path if not given. It is
	// fetched under the same rules as the document.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@]+([/?][^#]*)?$`
	URL string `json:"url,omitempty"`

	// publicKey is the key that made it: the line of minisign.pub, or cosign.pub in PEM.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey,omitempty"`

	// publicKeyFrom is where the key is.
	// +optional
	PublicKeyFrom *PublicKeySource `json:"publicKeyFrom,omitempty"`

	// maxAge is how old a signature may be, by the time in its trusted comment, as minisign writes it
	// ("timestamp:1789000000"). Contents whose signature has become older stay in use and are told as stale. No bound if
	// not given.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be longer than 0s"
	MaxAge metav1.Duration `json:"maxAge,omitzero"`
}

// PublicKeySource is a key of a ConfigMap or Secret in the BPFMap's namespace.
//
// +kubebuilder:validation:XValidation:rule="has(self.configMapRef) != has(self.secretRef)",message="exactly one of configMapRef and secretRef is needed"
type PublicKeySource struct {
	// configMapRef names one key of a ConfigMap.
	// +optional
	ConfigMapRef *SourceRef `json:"configMapRef,omitempty"`

	// secretRef names one key of a Secret.
	// +optional
	SecretRef *SourceRef `json:"secretRef,omitempty"`
}

// ArtifactSource is a file in the artifact of a Flux source object in the BPFMap's namespace. The administrator has to
// allow these by the controller's --artifact-sources.
type ArtifactSource struct {
	// kind is the source object's kind, of the group source.toolkit.fluxcd.io: GitRepository for a branch, tag or commit of
	// a Git repository, OCIRepository for an artifact in a registry, Bucket for an S3-compatible bucket, ExternalArtifact
	// for one that another controller than Flux' own makes.
	// +required
	// +kubebuilder:validation:Enum=GitRepository;OCIRepository;Bucket;ExternalArtifact
	Kind string `json:"kind"`

	// name is the source object's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// path is the file's path within the artifact, as "feeds/drop.txt". Links aren't followed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
}

// FileSource is a local file, for the command line: bpfmap apply, diff and validate. A controller refuses it.
type FileSource struct {
	// path is the file's path, relative to the folder of the manifest.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`
}
