# One static binary and nothing else: no shell, no libc, no package to patch. Built before by
# "make build"; for other architectures: make build GOARCH=arm64.
#
#   make build && docker build -t ghcr.io/bpfmap-io/bpfmap-operator .
FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bpfmap-operator" \
      org.opencontainers.image.description="eBPF map contents as Kubernetes resources" \
      org.opencontainers.image.source="https://github.com/bpfmap-io/bpfmap-operator" \
      org.opencontainers.image.documentation="https://github.com/bpfmap-io/bpfmap-operator/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /LICENSE
COPY bin/bpfmap /bpfmap
# The controller needs nothing of the machine. The agent's manifest sets uid 0 and its capabilities.
USER 65532:65532
ENTRYPOINT ["/bpfmap"]
