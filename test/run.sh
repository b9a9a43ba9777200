#!/usr/bin/env bash
# Runs the tests: all of them, or the files whose path contains one of the arguments.
#   npm test
#   npm test -- spec plan/drift
# The names are listed here because on Node 20 `node --test <folder>` finds no TypeScript and exits 0.
set -euo pipefail
cd "$(dirname "$0")/.."

# Two files at a time: the servers of one file keep a core busy.
CONCURRENCY=2
# For a file as a whole as well as for each test in it; a hang ends, a slow machine does not fail.
TIMEOUT_MS=1200000

chosen() {
  [ "$#" -gt 1 ] || return 0
  local file=$1 part
  shift
  for part in "$@"; do
    case "$file" in *"$part"*) return 0 ;; esac
  done
  return 1
}

files=()
while IFS= read -r file; do
  if chosen "$file" "$@"; then files+=("$file"); fi
done < <(find test -name '*.test.ts' | LC_ALL=C sort)

if [ "${#files[@]}" -eq 0 ]; then
  echo "no test file matches: $*" >&2
  exit 1
fi

# What the tests start as processes of their own is what users run.
npx tsc -p tsconfig.build.json
export BUNNYDB_TEST_BUILT=1

summary=$(mktemp)
trap 'rm -f "$summary"' EXIT

code=0
node --import tsx --test \
  --test-concurrency="$CONCURRENCY" --test-timeout="$TIMEOUT_MS" \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$summary" \
  "${files[@]}" || code=$?

count() { sed -n "s/^# $1 //p" "$summary" | tail -n 1; }

echo
for what in tests pass fail cancelled skipped todo; do echo "# $what $(count "$what")"; done
echo "${#files[@]} test files"

if ! [ "$(count tests)" -gt 0 ] 2>/dev/null; then
  echo "no test ran" >&2
  exit 1
fi
exit "$code"
