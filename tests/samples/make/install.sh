# Installs the programs into the overlay; run by make.sh inside it. What dpkg and apt-get log while they
# do so is a sample too.
out=/samples/result
rm -f /etc/localtime && ln -s /usr/share/zoneinfo/Etc/UTC /etc/localtime
echo web-1 > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 web-1\n::1 localhost\n' > /etc/hosts
mkdir -p /var/log/apt
: > /var/log/dpkg.log; : > /var/log/apt/history.log; : > /var/log/apt/term.log
# No package may start its service here: run.sh starts each with its own configuration.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends nginx-light apache2 openssh-server openssh-client \
  sudo logrotate rsyslog cron gcc make libc6-dev iproute2 curl zip qrencode netpbm groff login passwd tree \
  > /dev/null 2>&1
# Reinstall, remove and purge, so that the logs hold those actions too.
apt-get -qq install --reinstall cron > /dev/null 2>&1
apt-get -qq remove tree > /dev/null 2>&1
apt-get -qq purge tree > /dev/null 2>&1

cp /var/log/dpkg.log "$out/dpkg.log"
cp /var/log/apt/history.log "$out/apt-history.log"
