#!/bin/sh
# Makes the files of import_tests.rs with OpenSSL 3. `-legacy` gives what OpenSSL 1.1 and macOS
# write (RC2-40 and 3DES), 3DES alone is what Windows writes.
set -eu
cd "$(dirname "$0")"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.tmp -out cert.tmp -days 36500 -subj "/CN=imported"
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.tmp -out other-cert.tmp -days 36500 -subj "/CN=other"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.tmp -out ec-cert.tmp -days 36500 -subj "/CN=ec"
printf '[ca]\ndefault_ca=it\n[it]\ndatabase=index.tmp\nserial=serial.tmp\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n' >ca-cnf.tmp
: >index.tmp
echo 01 >serial.tmp
openssl req -new -key key.tmp -subj "/CN=imported" -out expired-csr.tmp
openssl ca -batch -config ca-cnf.tmp -selfsign -keyfile key.tmp -in expired-csr.tmp -out expired.tmp -notext \
    -startdate 20200101000000Z -enddate 20200102000000Z
p12() { openssl pkcs12 -export -passout "pass:${pass-secret}" "$@"; }
cat key.tmp cert.tmp >both.pem
{ openssl rsa -in key.tmp -traditional; cat cert.tmp; } >both-pkcs1.pem
cat key.tmp other-cert.tmp >mismatch.pem
cat ec.tmp ec-cert.tmp >ecdsa.pem
{ openssl pkcs8 -topk8 -in key.tmp -passout pass:secret; cat cert.tmp; } >encrypted.pem
p12 -inkey key.tmp -in cert.tmp -out openssl3.p12
p12 -legacy -inkey key.tmp -in cert.tmp -out openssl11.p12
p12 -legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -inkey key.tmp -in cert.tmp -out windows.p12
p12 -legacy -name "imported" -inkey key.tmp -in cert.tmp -out macos.p12
p12 -inkey key.tmp -in cert.tmp -certfile other-cert.tmp -out with-chain.p12
pass=žluťoučký p12 -inkey key.tmp -in cert.tmp -out umlaut.p12
pass= p12 -inkey key.tmp -in cert.tmp -out empty-password.p12
p12 -nokeys -in cert.tmp -out no-key.p12
p12 -nocerts -inkey key.tmp -out no-certificate.p12
p12 -inkey key.tmp -in expired.tmp -out expired.p12
rm -f ./*.tmp ./*.tmp.* ./*.pem.new 01.pem
