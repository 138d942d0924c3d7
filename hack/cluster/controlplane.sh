# The control plane, as processes of this machine.
# shellcheck shell=bash

# shellcheck source=hack/cluster/lib.sh
: "${pki:?is set by lib.sh}"

start_etcd() {
	start etcd etcd --data-dir="$dir/etcd" --unsafe-no-fsync --log-level=warn \
		--listen-client-urls=http://127.0.0.1:2389 --advertise-client-urls=http://127.0.0.1:2389 \
		--listen-peer-urls=http://127.0.0.1:2390 --initial-advertise-peer-urls=http://127.0.0.1:2390 \
		--initial-cluster=default=http://127.0.0.1:2390
}

start_apiserver() {
	start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2389 \
		--bind-address=0.0.0.0 --secure-port="${api#*:}" --advertise-address="${api%:*}" \
		--tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
		--client-ca-file="$pki/ca.crt" \
		--kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
		--kubelet-preferred-address-types=InternalIP \
		--service-account-issuer=https://kubernetes.default.svc \
		--service-account-key-file="$pki/service-account.pub" \
		--service-account-signing-key-file="$pki/service-account.key" \
		--service-cluster-ip-range="$services" \
		--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
		${CLUSTER_FEATURE_GATES:+--feature-gates="$CLUSTER_FEATURE_GATES"}
	until_true 60 "the API server is ready" kubectl get --raw /readyz
}

start_managers() {
	local name
	for name in kube-controller-manager kube-scheduler; do
		runs "$name" && continue
		local flags=(--kubeconfig="$pki/$name.kubeconfig" --authentication-kubeconfig="$pki/$name.kubeconfig"
			--authorization-kubeconfig="$pki/$name.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
			--kube-api-qps=200 --kube-api-burst=400)
		if [[ $name == kube-controller-manager ]]; then
			# A node that ends is noticed within 20 s instead of 50.
			flags+=(--use-service-account-credentials --allocate-node-cidrs=false --node-monitor-grace-period=20s
				--root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/service-account.key")
		fi
		start "$name" "$name" "${flags[@]}"
	done
	until_true 60 "the namespace default has its service account" kubectl get serviceaccount default
}

start_control_plane() {
	start_etcd
	start_apiserver
	start_managers
}

# The API server goes before etcd: the other way round it hangs and keeps its port.
stop_control_plane() {
	local name
	for name in kube-scheduler kube-controller-manager kube-apiserver etcd; do
		stop "$name"
	done
}
