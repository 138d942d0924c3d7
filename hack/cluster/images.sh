# The images, packed without a registry and imported into each node's containerd.
# shellcheck shell=bash

# shellcheck source=hack/cluster/lib.sh
: "${dir:?is set by lib.sh}"

# operator_image is the one that the chart's default values name.
operator_image() {
	local chart=charts/bpfmap-operator
	echo "$(awk '$1 == "repository:" { print $2; exit }' $chart/values.yaml):$(awk '$1 == "appVersion:" { print $2 }' $chart/Chart.yaml)"
}

# pack IMAGE ARCHIVE CONTEXT [BUILD-ARG...]
pack() {
	local image=$1 archive=$2 context=$3 store=(--storage-driver vfs --root "$dir/buildah" --runroot "$dir/buildah-run")
	shift 3
	# Earlier releases have a Dockerfile of one stage, which takes the same file.
	if grep -q ' AS prebuilt$' "$context/Dockerfile"; then set -- "$@" --target prebuilt; fi
	rm -f "$archive"
	buildah "${store[@]}" bud --isolation chroot --quiet --tag "$image" "$@" "$context" >>"$logs/images.log" 2>&1
	buildah "${store[@]}" push --quiet "$image" "docker-archive:$archive:$image" >>"$logs/images.log" 2>&1
}

make_pause_image() {
	local context=$dir/pause
	mkdir -p "$context"
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$context/pause" ./hack/cluster/pause
	printf 'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n' >"$context/Dockerfile"
	pack "$pause_image" "$dir/pause.tar" "$context"
}

make_operator_image() {
	[[ -x bin/bpfmap ]] || die "bin/bpfmap is not there: make build"
	pack "$(operator_image)" "$dir/operator.tar" .
}

# make_release COMMIT builds an earlier commit, and packs it with the commit as its tag. Its chart is in
# $dir/release-COMMIT.
make_release() {
	local source=$dir/release-$1 image
	image=$(operator_image)
	git cat-file -e "$1^{commit}" 2>/dev/null || die "commit $1 isn't in this clone: git fetch --unshallow"
	rm -rf "$source"
	mkdir -p "$source"
	git archive "$1" | tar -x -C "$source"
	CGO_ENABLED=0 go build -C "$source" -buildvcs=false -trimpath -ldflags '-s -w' -o bin/bpfmap ./cmd/bpfmap
	pack "${image%:*}:$1" "$dir/release-$1.tar" "$source"
}

# make_program PACKAGE IMAGE builds a program of this tree into an image of its own.
make_program() {
	local context=$dir/program-${1##*/}
	mkdir -p "$context"
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$context/program" "$1"
	printf 'FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n' >"$context/Dockerfile"
	pack "$2" "$dir/program-${1##*/}.tar" "$context"
}

# load_images NODE imports every archive.
load_images() {
	local archive
	for archive in "$dir"/{pause,operator}.tar "$dir"/{release,program}-*.tar; do
		[[ -e $archive ]] || continue
		inside "$1" ctr --namespace k8s.io images import "$archive" >>"$logs/images.log"
	done
}
