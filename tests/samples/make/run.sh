# Runs the programs in a network name space of its own; run by make.sh inside the overlay.
cd /samples/make
ip link set lo up
for address in 192.0.2.10/32 192.0.2.11/32 192.0.2.12/32 192.0.2.13/32 192.0.2.66/32 \
  198.51.100.23/32 198.51.100.24/32 203.0.113.9/32; do
  ip address add "$address" dev lo
done
ip address add 2001:db8::7/128 dev lo

# rsyslog owns /dev/log and writes what arrives in the three framings that are in use: that of RFC 3164,
# the same with an ISO 8601 time (Debian's default since release 12), and RFC 5424.
mkdir -p /var/spool/rsyslog
cat > /etc/rsyslog.conf <<'CONF'
module(load="imuxsock")
module(load="imklog")
template(name="rfc5424" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% %STRUCTURED-DATA% %msg:::sp-if-no-1st-sp%%msg%\n")
# The kernel tells of the whole machine: keep only what the programs of this script caused.
if $syslogfacility-text == "kern" then {
  if re_match($msg, "(segfault|trap|general protection)") and $msg contains "crashing" then
    action(type="omfile" file="/samples/result/kern.log" template="RSYSLOG_TraditionalFileFormat")
  stop
}
# The PAM modules of the sshd that runs with -E log without a process number, apart from its own lines.
if $syslogtag == "sshd:" then stop
auth,authpriv.* action(type="omfile" file="/samples/result/auth.log" template="RSYSLOG_TraditionalFileFormat")
auth,authpriv.* action(type="omfile" file="/samples/result/auth-iso.log" template="RSYSLOG_FileFormat")
auth,authpriv.* action(type="omfile" file="/samples/result/auth-5424.log" template="rfc5424")
*.*;auth,authpriv.none action(type="omfile" file="/samples/result/syslog.log" template="RSYSLOG_TraditionalFileFormat")
CONF
rsyslogd -n -iNONE & syslog=$!
until [ -S /dev/log ]; do sleep 0.1; done

echo "samples: build";  . ./build.sh
echo "samples: files";  . ./files.sh
echo "samples: web";    . ./web.sh
echo "samples: auth";   . ./auth.sh
echo "samples: rotate"; . ./rotate.sh
echo "samples: frame";  . ./frame.sh

kill "$syslog"; wait "$syslog" || true
chmod -R u=rwX,go=rX /samples/result
