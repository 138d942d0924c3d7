# The cluster's keys, certificates and kubeconfigs.
# shellcheck shell=bash

# shellcheck source=hack/cluster/lib.sh
: "${pki:?is set by lib.sh}"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# certificate NAME SUBJECT [SANS] signs a certificate that serves as a client's and a server's.
certificate() {
	local name=$1 subject=$2 sans=${3:-}
	new_key "$pki/$name.key"
	openssl req -new -key "$pki/$name.key" -subj "$subject" -out "$pki/$name.csr"
	{
		echo "basicConstraints=CA:FALSE"
		echo "extendedKeyUsage=clientAuth,serverAuth"
		if [[ -n $sans ]]; then echo "subjectAltName=$sans"; fi
	} >"$pki/$name.ext"
	openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial \
		-days 30 -extfile "$pki/$name.ext" -out "$pki/$name.crt" 2>/dev/null
	rm "$pki/$name.csr" "$pki/$name.ext"
}

# kubeconfig FILE NAME SERVER holds the certificate itself, so that the file can be taken elsewhere.
kubeconfig() {
	cat >"$1" <<CONFIG
apiVersion: v1
kind: Config
clusters:
- name: bpfmap
  cluster: {server: "https://$3", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}
users:
- name: $2
  user: {client-certificate-data: $(base64 -w0 "$pki/$2.crt"), client-key-data: $(base64 -w0 "$pki/$2.key")}
contexts:
- name: bpfmap
  context: {cluster: bpfmap, user: $2}
current-context: bpfmap
CONFIG
	chmod 0600 "$1"
}

make_pki() {
	mkdir -p -m 0700 "$pki"
	new_key "$pki/ca.key"
	openssl req -x509 -new -key "$pki/ca.key" -subj /CN=bpfmap-cluster -days 30 -out "$pki/ca.crt"
	new_key "$pki/service-account.key"
	openssl ec -in "$pki/service-account.key" -pubout -out "$pki/service-account.pub" 2>/dev/null
	certificate apiserver /CN=kube-apiserver \
		"IP:127.0.0.1,IP:${api%:*},IP:$service,DNS:localhost,DNS:kubernetes.default.svc"
	certificate kubelet-client "/O=system:masters/CN=kube-apiserver-kubelet-client"
	certificate admin "/O=system:masters/CN=admin"
	certificate kube-controller-manager /CN=system:kube-controller-manager
	certificate kube-scheduler /CN=system:kube-scheduler
	local name
	for name in "${nodes[@]}"; do
		certificate "$name" "/O=system:nodes/CN=system:node:$name" "IP:$(address_of "$name"),DNS:$name"
		kubeconfig "$pki/$name.kubeconfig" "$name" "$api"
	done
	for name in admin kube-controller-manager kube-scheduler; do
		kubeconfig "$pki/$name.kubeconfig" "$name" 127.0.0.1:6443
	done
	cp "$pki/admin.kubeconfig" "$dir/admin.kubeconfig"
}
