uri=$SPICEDB_DATASTORE_CONN_URI
case "$uri" in
*'$'*) fact dollar ;;
esac

# The driver also takes name=value name='a value', in which a backslash takes the next character as it is.
space=' 	
'
special="$space'"'\\#%&+'
case "$uri" in
postgres://* | postgresql://*) ;;
*)
    query=
    rest=${uri#"${uri%%[!$space]*}"}
    while [ -n "$rest" ]; do
        name=${rest%%=*}
        name=${name%"${name##*[!$space]}"}
        case "$rest" in
        *=*) rest=${rest#*=} ;;
        *) connection_error uri ;;
        esac
        case "$name" in
        *[!A-Za-z0-9_.]*) connection_error uri ;;
        esac
        rest=${rest#"${rest%%[!$space]*}"}
        quoted=
        case "$rest" in
        \'*) quoted=yes rest=${rest#?} ;;
        esac
        query="$query&$name="
        while [ -n "$rest" ]; do
            plain=${rest%%[$special]*}
            query=$query$plain
            rest=${rest#"$plain"}
            case "$quoted$rest" in
            '' | yes | [$space]*) break ;;
            yes\'*) rest=${rest#?} && break ;;
            \\* | yes\\*) rest=${rest#?} ;;
            esac
            character=${rest%"${rest#?}"}
            rest=${rest#?}
            case "$character" in
            ' ') character=%20 ;;
            '#') character=%23 ;;
            '%') character=%25 ;;
            '&') character=%26 ;;
            '+') character=%2B ;;
            '
') character=%0A ;;
            esac
            query=$query$character
        done
        rest=${rest#"${rest%%[!$space]*}"}
    done
    uri="postgresql:///?${query#&}"
    ;;
esac

uri=${uri%%#*}
query=
case "$uri" in
*\?*) query=$(printf %s "${uri#*\?}" | sed 's/+/%20/g') ;;
esac
place=${uri#*://}
place=${place%%\?*}
path=
case "$place" in
*/*) path=/${place#*/} ;;
esac
place=${place%%/*}
user=
case "$place" in
*@*)
    user=${place%@*}
    place=${place##*@}
    ;;
*) case "$path" in *@*) connection_error uri ;; esac ;;
esac
IFS=,
for host in $place; do
    case "${host##*]}" in
    *:*[!0-9]*) connection_error uri ;;
    esac
done

# Others on the node see the arguments of a program. So passwords reach the client as a variable and as a file.
umask 077
password() {
    decode "$1"
    export PGPASSWORD="$decoded"
}
case "$user" in
*:?*) password "${user#*:}" ;;
esac
user=$(printf %s "${user%%:*}" | sed 's/@/%40/g')

# SpiceDB's driver takes more parameters than libpq. It sends those that it does not know to the server, as settings.
kept=
options=
IFS='&'
for item in $query; do
    case "$item" in
    *=*) decode "${item%%=*}" ;;
    *) connection_error uri ;;
    esac
    name=$decoded
    value=${item#*=}
    case "$name" in
    *[!A-Za-z0-9_.]*) connection_error parameter ;;
    password) password "$value" ;;
    sslpassword)
        decode "$value"
        export PGSERVICEFILE=/tmp/service
        printf '[check]\nsslpassword=%s\n' "$decoded" >"$PGSERVICEFILE"
        kept="$kept&service=check"
        ;;
    pool_*) fact pool ;;
    default_query_exec_mode | prefer_simple_protocol | *_cache_capacity | statement_cache_mode) ;;
    options) options="$options%20$value" ;;
    host | hostaddr | port | dbname | user | passfile | require_auth | channel_binding | \
        connect_timeout | client_encoding | application_name | fallback_application_name | keepalives* | \
        tcp_user_timeout | gssencmode | ssl* | krbsrvname | gsslib | service | target_session_attrs | \
        load_balance_hosts) kept="$kept&$name=$value" ;;
    *) options="$options%20-c%20$name%3D$(printf %s "$value" | sed 's/%20/%5C%20/g')" ;;
    esac
done
unset IFS
uri="postgresql://${user:+$user@}$place$path?application_name=cdk8s-spicedb-check$kept${options:+&options=$options}"

client=psql
set +f
for path in /usr/lib/postgresql/*/bin/psql; do
    [ -x "$path" ] && client=$path
done
set -f
command -v "$client" >/dev/null || connection_error no-client

export PGCONNECT_TIMEOUT=5
code=0
printf '%s\n' "$CHECK_SQL" | timeout 20 "$client" -X -q -A -t -d "$uri" 2>/tmp/errors || code=$?
errors=$(cat /tmp/errors)

if [ "$code" = 0 ]; then
    fact done
    exit 0
fi
case "$errors" in
*'password authentication failed'* | *'no password supplied'* | *'empty password'* | *'SASL authentication failed'*) connection_error password ;;
*'certificate authentication failed'* | *'valid client certificate'* | *' alert '*) connection_error client-certificate ;;
*'private key file'* | *'could not read certificate file'*) connection_error client-key ;;
*'could not translate host name'*) connection_error dns ;;
*'Connection refused'*) connection_error refused ;;
*'root certificate file'*) connection_error no-ca ;;
*'certificate verify failed'*) connection_error certificate ;;
*'server certificate for'*) connection_error hostname ;;
*'does not support SSL'*) connection_error no-tls ;;
*'no encryption'*) connection_error tls-required ;;
*pg_hba.conf*) connection_error rejected ;;
*'role "'*'" does not exist'*) connection_error password ;;
*'database "'*'" does not exist'*) connection_error no-database ;;
*'permission denied for database'*) connection_error no-connect ;;
*'too many c'* | *'connection slots are reserved'*) connection_error full ;;
*'is starting up'* | *'is shutting down'* | *'in recovery mode'*) connection_error starting ;;
*'invalid URI query parameter'* | *'invalid connection option'*) connection_error parameter ;;
*'unrecognized configuration parameter'*) connection_error parameter ;;
*'timeout expired'* | *'timed out'*) connection_error timeout ;;
*unreachable* | *'No route to host'*) connection_error refused ;;
esac
case "$code" in
124 | 137 | 143) connection_error timeout ;;
*) connection_error unknown ;;
esac
