#!/bin/sh
# Instructions per operation, by valgrind: (3000 runs - 1000 runs) / 2000. Usage: benches/callgrind.sh [PART-OF-A-NAME]
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is not here"; exit 1; }
cargo build --quiet --release -p c4-benches --bin operations
bin=${CARGO_TARGET_DIR:-target}/release/operations
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin" "$1" "$2" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}
printf '%-32s %s\n' operation instructions
"$bin" | grep -F "${1:-/}" | while read -r name; do
    few=$(count "$name" 1000)
    many=$(count "$name" 3000)
    printf '%-32s %s\n' "$name" $(((many - few) / 2000))
done
