#!/bin/sh
# Makes an authority, and a certificate of each database server, in the current directory: run it once, on a machine that is kept safe.
#
#     sh certificates.sh db1:10.0.0.11 db2:10.0.0.12 db3:10.0.0.13
#
# ca.pem goes to the database servers and to the nodes; NAME.pem and NAME.key go to that server. ca.key stays: whoever has it can make
# certificates. An authority that is there is used again, so that servers can be added, and certificates renewed.
set -eu
umask 077
fresh='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
if ! [ -e ca.key ]; then
    # shellcheck disable=SC2086
    openssl req -x509 $fresh -keyout ca.key -out ca.pem -subj '/CN=databases of dosd' -days 3650
fi
for server in "$@"; do
    name=${server%%:*} address=${server#*:}
    # shellcheck disable=SC2086
    openssl req $fresh -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
    printf 'subjectAltName = DNS:%s, IP:%s\n' "$name" "$address" >"$name.names"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -extfile "$name.names" -days 825 -out "$name.pem"
    rm "$name.csr" "$name.names"
done
