# Starts the client in the arguments, which asks the database the SQL in $1 once and the SQL in $2 again and again, and
# prints the answers as lines of JSON until standard input ends.
set -u
exec 3>&1 4<&0
first=$1
sql=$2
shift 2

# Memory as Kubernetes counts it: without the files that the node can drop at any time. cgroups have two versions.
folder=/sys/fs/cgroup usage=memory.current inactive=inactive_file
[ -r "$folder/$usage" ] || folder=/sys/fs/cgroup/memory usage=memory.usage_in_bytes inactive=total_inactive_file
memory() {
    [ -r "$folder/$usage" ] || return 0
    read -r used <"$folder/$usage"
    while read -r name bytes; do
        [ "$name" = "$inactive" ] && used=$((used - bytes))
    done <"$folder/memory.stat"
    printf '{"fact":"memory","bytes":%s}\n' "$used" >&3
}

ask() {
    printf '%s\n' "$first"
    while kill -0 "$$" 2>/dev/null; do
        memory
        printf '%s\n' "$sql"
        sleep 0.1
    done
}

# kubectl closes standard input in the pod when it ends. Output that nobody reads is no error there.
{
    cat <&4 >/dev/null
    kill "$$"
} &
# The client ends if the database restarts.
while printf '{"fact":"client"}\n'; do
    ask | "$@"
    sleep 0.5
done
