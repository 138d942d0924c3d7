// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of Helm (https://helm.sh/docs/topics/registries) and of cosign.
const (
	chartConfig  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	chartContent types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	imagePayload types.MediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelope     types.MediaType = "application/vnd.dsse.envelope.v1+json"

	signatureAnnotation = "dev.cosignproject.cosign/signature"
)

// artifact is a manifest with a config that isn't an image's.
type artifact struct {
	manifest, config []byte
	layer            v1.Layer
}

func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (a *artifact) RawManifest() ([]byte, error)        { return a.manifest, nil }
func (a *artifact) RawConfigFile() ([]byte, error)      { return a.config, nil }

func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if d, err := a.layer.Digest(); err != nil || d != h {
		return nil, fmt.Errorf("find layer %s: there is only %s: %w", h, d, err)
	}
	return a.layer, nil
}

// Chart is a packaged chart as Helm pulls it. metadata is its Chart.yaml in JSON.
func Chart(packed, metadata []byte, annotations map[string]string) (v1.Image, error) {
	layer := static.NewLayer(packed, chartContent)
	digest, err := layer.Digest()
	if err != nil {
		return nil, fmt.Errorf("make the chart's artifact: %w", err)
	}
	config, size, err := v1.SHA256(bytes.NewReader(metadata))
	if err != nil {
		return nil, fmt.Errorf("make the chart's artifact: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: chartConfig, Digest: config, Size: size},
		Layers:      []v1.Descriptor{{MediaType: chartContent, Digest: digest, Size: int64(len(packed))}},
		Annotations: annotations,
	})
	if err != nil {
		return nil, fmt.Errorf("make the chart's artifact: %w", err)
	}
	image, err := partial.CompressedToImage(&artifact{manifest, metadata, layer})
	if err != nil {
		return nil, fmt.Errorf("make the chart's artifact: %w", err)
	}
	return image, nil
}

// Signature is what cosign stores under the tag sha256-DIGEST.sig.
func Signature(payload []byte, signature string) (v1.Image, error) {
	image, err := mutate.Append(base(), mutate.Addendum{
		Layer: static.NewLayer(payload, imagePayload), Annotations: map[string]string{signatureAnnotation: signature},
	})
	if err != nil {
		return nil, fmt.Errorf("make the signature's artifact: %w", err)
	}
	return image, nil
}

// Attestation is a signed statement.
type Attestation struct {
	PredicateType string
	Envelope      []byte
}

// Attestations is what cosign stores under the tag sha256-DIGEST.att.
func Attestations(all []Attestation) (v1.Image, error) {
	image := base()
	for _, a := range all {
		var err error
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: static.NewLayer(a.Envelope, envelope), Annotations: map[string]string{signatureAnnotation: "", "predicateType": a.PredicateType},
		})
		if err != nil {
			return nil, fmt.Errorf("make the attestations' artifact: %w", err)
		}
	}
	return image, nil
}
