#!/bin/sh
# Makes the certificates of the TLS tests, once, in this folder; they are kept beside it and are good for a
# hundred years. The keys guard nothing: they are public. Needs `openssl` 3.
set -eu
cd "$(dirname "$0")"
days=36500

authority() { # NAME SUBJECT
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.pem" \
    -days $days -subj "/CN=$2" -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

certificate() { # NAME EXTENDED-KEY-USAGE NAMES
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' \
    "$2" "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days $days \
    -extfile "$1.ext" -out "$1.pem"
}

authority ca 'Picket test authority'
authority other-ca 'Another test authority'
certificate server serverAuth 'DNS:localhost,IP:127.0.0.1,IP:::1'
certificate elsewhere serverAuth 'DNS:receiver.example'
certificate client clientAuth 'DNS:client'

# The same key in its other notation, and one that cannot be used because it is encrypted.
openssl ec -in client.key -out client-sec1.key
openssl pkcs8 -topk8 -in client.key -passout pass:secret -out client-encrypted.key

# An RSA key in PKCS #1.
openssl genrsa -traditional -out client-rsa-pkcs1.key 2048
openssl req -new -key client-rsa-pkcs1.key -out client-rsa.csr -subj /CN=client
openssl x509 -req -in client-rsa.csr -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days $days \
  -extfile client.ext -out client-rsa.pem

rm -f ./*.csr ./*.ext ca.key other-ca.key
