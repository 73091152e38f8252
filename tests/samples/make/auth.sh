# Logins and privilege changes: sshd (through syslog on port 22, and with -E into a file of its own on
# port 2222), sudo, su, login, passwd and cron, each with successes and failures.
for name in alice bob carol deploy; do
  useradd -m -s /bin/bash "$name"
  printf '%s:right-%s\n' "$name" "$name" | chpasswd
done
printf 'root:right-root\n' | chpasswd
usermod -aG sudo alice
usermod -aG sudo deploy
groupadd operators && gpasswd -a bob operators > /dev/null

mkdir -p /run/sshd
ssh-keygen -A > /dev/null
cat > /etc/ssh/sshd_config <<'CONF'
UsePAM yes
PermitRootLogin yes
MaxAuthTries 4
MaxStartups 100
LoginGraceTime 20
PasswordAuthentication yes
KbdInteractiveAuthentication yes
Subsystem sftp internal-sftp
CONF
/usr/sbin/sshd
/usr/sbin/sshd -o Port=2222 -o LogLevel=VERBOSE -o PidFile=/run/sshd2.pid -E /samples/result/sshd.log

cd /srv
keys=$PWD/keys
mkdir -p -m 700 "$keys" /home/alice/.ssh
ssh-keygen -q -t ed25519 -N '' -C alice@laptop -f "$keys/alice"
ssh-keygen -q -t rsa -b 2048 -N '' -C stranger@nowhere -f "$keys/stranger"
cp "$keys/alice.pub" /home/alice/.ssh/authorized_keys
chown -R alice: /home/alice/.ssh && chmod 700 /home/alice/.ssh && chmod 600 /home/alice/.ssh/authorized_keys
printf '#!/bin/sh\nprintf "%%s\\n" "$PASSWORD"\n' > "$keys/askpass" && chmod 755 "$keys/askpass"

common=(-q -o BatchMode=no -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10)
login_by() { # FROM PORT USER PASSWORD [METHOD [PROMPTS [SERVER]]]
  PASSWORD=$4 SSH_ASKPASS="$keys/askpass" SSH_ASKPASS_REQUIRE=force ssh "${common[@]}" -b "$1" -p "$2" \
    -o PubkeyAuthentication=no -o PreferredAuthentications="${5:-password}" -o NumberOfPasswordPrompts="${6:-1}" \
    "$3@${7:-127.0.0.1}" true < /dev/null > /dev/null 2>&1 || true
}
by_key() { # FROM PORT USER KEY
  ssh "${common[@]}" -b "$1" -p "$2" -o PreferredAuthentications=publickey -o IdentitiesOnly=yes -i "$keys/$4" "$3@127.0.0.1" true < /dev/null > /dev/null 2>&1 || true
}
raw() { # raw PORT TEXT: what is no SSH
  { printf "$2" >&3; timeout 1 cat <&3 > /dev/null || true; } 3<> "/dev/tcp/127.0.0.1/$1"
}

for port in 22 2222; do
  # An ordinary morning.
  by_key 192.0.2.10 $port alice alice
  login_by 192.0.2.11 $port bob right-bob
  login_by 192.0.2.12 $port carol right-carol keyboard-interactive
  login_by 192.0.2.11 $port bob mistyped
  login_by 192.0.2.11 $port bob right-bob
  by_key 192.0.2.13 $port carol stranger
  login_by 2001:db8::7 $port alice wrong password 1 2001:db8::7
  login_by 2001:db8::7 $port alice right-alice password 1 2001:db8::7
  # Brute force against few names from one address.
  for round in 1 2 3 4 5; do
    for name in root admin root test root oracle; do login_by 198.51.100.23 $port $name "guess$round" & done
    while pgrep -x ssh > /dev/null; do sleep 0.2; done
  done
  # Password spraying: one password for many names.
  for name in alice bob carol deploy postgres mysql www-data backup git jenkins nagios ubuntu pi guest ftp user support; do
    login_by 203.0.113.9 $port $name 'Winter2024!' &
  done
  while pgrep -x ssh > /dev/null; do sleep 0.2; done
  # A break-in: failures, and then the right password.
  for round in 1 2 3 4; do login_by 192.0.2.66 $port deploy "deploy$round" password 2; done
  login_by 192.0.2.66 $port deploy right-deploy
  # Too many attempts over one connection, and by keyboard-interactive.
  login_by 198.51.100.24 $port root nothing password 6
  login_by 198.51.100.24 $port root nothing keyboard-interactive 6
  login_by 198.51.100.24 $port carol nothing keyboard-interactive 2
  # Root himself.
  login_by 192.0.2.10 $port root right-root
  # What is no SSH at all.
  raw $port 'GET / HTTP/1.0\r\n\r\n'
  raw $port ''
  raw $port 'SSH-2.0-Go\r\n'
  raw $port 'SSH-1.5-old\r\n'
done
kill "$(cat /run/sshd2.pid)"

# as USER COMMAND INPUT: the command on a terminal of its own, fed with input.
as() { { sleep 0.5; printf "$3"; sleep 3; } | script -qec "runuser -u $1 -- $2" /dev/null > /dev/null 2>&1 || true; }
as alice 'sudo -S -k /usr/bin/id' 'right-alice\n'
as alice 'sudo -S /usr/bin/ls /etc/ssl/private' 'right-alice\n'
as deploy 'sudo -S -k /bin/cat /etc/shadow' 'right-deploy\n'
as alice 'sudo -S -k -u bob /usr/bin/id' 'right-alice\n'
for round in 1 2 3; do { sleep 0.3; printf 'no\nno\nno\n'; sleep 9; } | runuser -u alice -- sudo -S -k /usr/bin/id > /dev/null 2>&1 || true; done
{ printf 'right-bob\n'; sleep 1; } | runuser -u bob -- sudo -S -k /bin/bash > /dev/null 2>&1 || true
{ printf 'right-bob\n'; sleep 1; } | runuser -u bob -- sudo -S -k /usr/bin/passwd root > /dev/null 2>&1 || true
as bob 'su -c id root' 'right-root\n'
for round in 1 2 3 4; do as bob 'su -c id root' 'wrong\n'; done
as carol 'su -c id alice' 'right-alice\n'
as carol 'su -c id - nobodyhere' 'wrong\n'
runuser -u deploy -- true
su -s /bin/sh -c true carol
# The login program on a terminal: wrong, wrong, unknown, then right.
{ sleep 0.5; printf 'alice\n'; sleep 1; printf 'wrong\n'; sleep 4; printf 'carol\n'; sleep 1; printf 'wrong\n'; sleep 4
  printf 'nobodyhere\n'; sleep 1; printf 'wrong\n'; sleep 4; printf 'carol\n'; sleep 1; printf 'right-carol\n'; sleep 2; printf 'exit\n'; sleep 1; } \
  | script -qec 'login' /dev/null > /dev/null 2>&1 || true
userdel carol > /dev/null 2>&1 || true
printf 'new-bob\nnew-bob\n' | passwd bob > /dev/null 2>&1
chage -M 90 bob
# cron opens a session each minute.
printf '* * * * * root /bin/true\n* * * * * bob /bin/true\n' > /etc/cron.d/samples
cron
for second in $(seq 70); do grep -q 'CRON.*CMD' /samples/result/syslog.log 2> /dev/null && break; sleep 1; done
kill "$(cat /run/crond.pid)" "$(cat /run/sshd.pid)"
sleep 1
cd /samples/make
