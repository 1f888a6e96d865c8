# The URI is one of Go's driver: user:password@tcp(host:port)/database?parameters. Nothing in it is encoded but the database.
uri=$SPICEDB_DATASTORE_CONN_URI
case "$uri" in
*/*) ;;
*) connection_error uri ;;
esac
left=${uri%/*}
right=${uri##*/}
account=
case "$left" in
*@*) account=${left%@*} ;;
esac
address=${left##*@}
user=${account%%:*}
password=
case "$account" in
*:*) password=${account#*:} ;;
esac
# The migration of this package puts the parts that are in Secrets into the URI when it starts.
case "$user" in
'$DATASTORE_USER') user=${DATASTORE_USER-} ;;
*'$'*) fact dollar ;;
esac
case "$password" in
'$DATASTORE_PASSWORD') password=${DATASTORE_PASSWORD-} ;;
*'$'*) fact dollar ;;
esac

host=127.0.0.1
port=3306
place=${address#*\(}
place=${place%\)}
case "$address" in
unix*) connection_error parameter ;;
*\(\[*\]:*) host=${place%]*} && host=${host#[} && port=${place##*:} ;;
*\(\[*\]\)) host=${place#[} && host=${host%]} ;;
*\(*:*\)) host=${place%:*} && port=${place##*:} ;;
*\(?*\)) host=$place ;;
'' | tcp) ;;
*) connection_error uri ;;
esac

case "$host" in
'$DATASTORE_HOST') host=${DATASTORE_HOST-} ;;
esac
case "$port" in
'$DATASTORE_PORT') port=${DATASTORE_PORT-} ;;
esac

database=${right%%\?*}
case "$database" in
'$DATASTORE_DATABASE') database=${DATASTORE_DATABASE-} ;;
esac
decode "$database"
database=$decoded
tls=false
parameters=
case "$right" in
*\?*) parameters=${right#*\?} ;;
esac
IFS='&'
for item in $parameters; do
    case "$item" in
    tls=*) tls=${item#tls=} ;;
    esac
done
unset IFS

client=mariadb
command -v mariadb >/dev/null || client=mysql
command -v "$client" >/dev/null || connection_error no-client
oracle=
"$client" --version | grep -qi mariadb || oracle=yes
# Go's driver verifies with the system's CAs, and with the files of this folder.
ca=
[ -n "${SSL_CERT_DIR-}" ] && ca="--ssl-ca=$SSL_CERT_DIR/ca.crt"

case "$tls$oracle" in
true) options="--ssl --ssl-verify-server-cert $ca" ;;
skip-verify | preferred) options=--ssl ;;
false) options=--skip-ssl ;;
trueyes) options="--ssl-mode=VERIFY_IDENTITY $ca" ;;
skip-verifyyes) options=--ssl-mode=REQUIRED ;;
preferredyes) options=--ssl-mode=PREFERRED ;;
falseyes) options="--ssl-mode=DISABLED --get-server-public-key" ;;
*) connection_error parameter ;;
esac

export MYSQL_PWD="$password"
# The answers to SHOW are not facts yet. The hash of a password can be in a grant.
tab=$(printf '\t')
facts() {
    sed -e '/^{/b' -e 's/ IDENTIFIED .*//' -e "s/$tab/ /g" -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/{"fact":"line","text":"/' -e 's/$/"}/'
}
ask() {
    # shellcheck disable=SC2086
    {
        printf '%s\n' "$CHECK_SQL" | timeout 20 "$client" --no-defaults --protocol=tcp --host="$host" --port="$port" \
            --user="$user" --database="$database" --connect-timeout=5 $1 --force --batch --raw --skip-column-names \
            2>/tmp/errors || true
    } | facts
    errors=$(cat /tmp/errors)
}
ask "$options"
case "$tls$errors" in
preferred*'does not support'*) ask --skip-ssl ;;
esac

# With --force, the client goes on after the errors of statements. Those of the connection have numbers of their own.
case "$tls$errors" in
false*'ERROR 1045'*) connection_error password-or-tls ;;
*'ERROR 1045'* | *'ERROR 1698'*) connection_error password ;;
*'ERROR 1044'*) connection_error no-connect ;;
*'ERROR 1049'*) connection_error no-database ;;
*'ERROR 1040'* | *'ERROR 1203'* | *'ERROR 1226'*) connection_error full ;;
*'ERROR 1130'* | *'ERROR 1129'*) connection_error rejected ;;
*'ERROR 2005'*) connection_error dns ;;
*'ERROR 2026'*'does not support'*) connection_error no-tls ;;
*'ERROR 2026'*) connection_error certificate ;;
*'ERROR 3159'*) connection_error tls-required ;;
*'ERROR 2002'*'(115)'* | *'ERROR 2003'*'(110)'* | *'ERROR 2013'* | *'timed out'*) connection_error timeout ;;
*'ERROR 2002'* | *'ERROR 2003'*) connection_error refused ;;
*'ERROR 2'*) connection_error unknown ;;
esac
fact done
