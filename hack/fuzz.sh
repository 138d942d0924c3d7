#!/usr/bin/env bash
# Fuzzes every Fuzz function below the given folders for a time each: hack/fuzz.sh 10s internal/schema...
# An input that fails is kept in testdata/fuzz beside the test, and then fails in go test as well.
set -euo pipefail

time=$1
shift
functions=0
while IFS=: read -r file name; do
	functions=$((functions + 1))
	echo "fuzz: $name in $(dirname "$file"), $time"
	"${GO:-go}" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$(dirname "$file")"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$@" | sed 's/func //' | sort)
if ((functions == 0)); then
	echo "fuzz: no Fuzz function below $*" >&2
	exit 1
fi
echo "fuzz: $functions functions"
