# logrotate over the logs that the other parts have left.
mkdir -p /var/log/app && for n in 1 2 3; do seq 1 2000 > "/var/log/app/worker-$n.log"; done
printf '/var/log/app/*.log {\n  rotate 3\n  size 1k\n  compress\n  delaycompress\n  missingok\n}\n' > /etc/logrotate.d/app
for round in 1 2 3; do
  logrotate -v -f /etc/logrotate.d/app 2>&1
  for n in 1 2 3; do seq 1 2000 > "/var/log/app/worker-$n.log"; done
done > /samples/result/logrotate.log
