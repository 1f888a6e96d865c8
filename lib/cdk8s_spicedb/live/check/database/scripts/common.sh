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

# Sets $decoded to a text of a URI without its %XX.
decode() {
    decoded=
    rest=$1
    while :; do
        case "$rest" in
        *%*) ;;
        *) break ;;
        esac
        decoded=$decoded${rest%%\%*}
        rest=${rest#*%}
        code=${rest%"${rest#??}"}
        case "$code" in
        00) connection_error uri ;;
        [0-9A-Fa-f][0-9A-Fa-f]) ;;
        *) connection_error uri ;;
        esac
        # shellcheck disable=SC2059
        character=$(printf "\\$(printf %o "0x$code")x")
        decoded=$decoded${character%x}
        rest=${rest#??}
    done
    decoded=$decoded$rest
}
