set -uf
export LC_ALL=C

# Prints one fact as a line of JSON. The arguments are its name, and pairs of names and values without special characters.
fact() {
    line="{\"fact\":\"$1\""
    shift
    while [ $# -gt 1 ]; do
        line="$line,\"$1\":\"$2\""
        shift 2
    done
    printf '%s}\n' "$line"
}

# What a client prints about an error may contain parts of a URI, and so of a password. Only the kind of error leaves the pod.
connection_error() {
    fact error kind "$1"
    fact done
    exit 0
}
