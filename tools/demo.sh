#!/usr/bin/env bash
# One real question about one picture, with all visual tokens and with fewer. `make demo` builds first.
#
#   tools/demo.sh [IMAGE [QUESTION]]
set -euo pipefail
cd "$(dirname "$0")/.."

winnow=build/release/bin/winnow
image=${1:-models/examples/reading.png}
question=${2:-What word is written in the image?}
out=build/demo
mkdir -p "$out"

ask() {  # ask TITLE OPTIONS...
  printf '\n== %s\n' "$1"
  shift
  printf '$ winnow run --image %s -p "%s" %s\n' "$image" "$question" "$*"
  "$winnow" run --image "$image" -p "$question" "$@"
}

ask "every visual token" --prune none
for method in fastervlm window_fastv; do
  for keep in 25% 11%; do
    ask "$method, $keep of the visual tokens" --prune "$method" --keep "$keep" \
      --show-kept "$out/$method-${keep%\%}.png"
  done
done
printf '\nThe pictures with the dropped patches dimmed: %s\n' "$out"
ls "$out"/*.png
