# One static binary and nothing else: no shell, no libc, no package to patch.
#
#   docker build -t ghcr.io/bpfmap-io/bpfmap-operator .
#
# builds it from this tree, and needs nothing but the image of Go. For another architecture: --platform linux/arm64.
# With --target prebuilt the image takes bin/bpfmap as "make build" left it, and no other image is needed.
ARG BUILDER=docker.io/library/golang:1.26

FROM scratch AS base
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bpfmap-operator" \
      org.opencontainers.image.description="eBPF map contents as Kubernetes resources" \
      org.opencontainers.image.source="https://github.com/bpfmap-io/bpfmap-operator" \
      org.opencontainers.image.documentation="https://github.com/bpfmap-io/bpfmap-operator/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The controller needs nothing of the machine. The agent's manifest sets uid 0 and its capabilities.
USER 65532:65532
ENTRYPOINT ["/bpfmap"]

FROM base AS prebuilt
# A pattern, so that builders that don't leave out the stages they don't need get by without the file.
COPY LICENSE bin/bpfma[p] /

FROM ${BUILDER} AS build
ARG VERSION=unknown
ARG REVISION=unknown
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 GOARCH=${TARGETARCH} go build -buildvcs=false -trimpath -o /bpfmap \
    -ldflags "-s -w -X github.com/bpfmap-io/bpfmap-operator/internal/cli.version=${VERSION} -X github.com/bpfmap-io/bpfmap-operator/internal/cli.commit=${REVISION}" \
    ./cmd/bpfmap

FROM base
COPY LICENSE /LICENSE
COPY --from=build /bpfmap /bpfmap
