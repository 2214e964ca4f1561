# TAP from a shell script: `. tap.sh`, then `check TITLE COMMAND...` for each case, and `finish` at the end.

cases=0
tap_log=$(mktemp)
trap 'rm -f "$tap_log"' EXIT

# The case passes if the command does; what the command printed is shown if it does not.
check() {
    title=$1
    shift
    cases=$((cases + 1))
    if "$@" >"$tap_log" 2>&1; then
        echo "ok $cases - $title"
    else
        echo "not ok $cases - $title"
        sed 's/^/# /' "$tap_log"
    fi
}

skip() {
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}

finish() {
    echo "1..$cases"
}
