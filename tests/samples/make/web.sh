# nginx and Apache with real requests. nginx listens on 80 (combined format) and 8081 (JSON), Apache on
# 8080 (common) and 8082 (combined). The clients are curl processes bound to different addresses.
mkdir -p /srv/www/static /srv/www/private /var/log/nginx
printf '<html><body>Welcome</body></html>\n' > /srv/www/index.html
for n in 1 2 3 4 5 6; do head -c $((n * 700)) /dev/urandom | base64 > "/srv/www/static/page$n.html"; done
printf 'body { margin: 0 }\n' > /srv/www/static/site.css
printf 'secret\n' > /srv/www/private/plan.txt && chmod 600 /srv/www/private/plan.txt
chmod 755 /srv /srv/www /srv/www/static

cat > /etc/nginx/nginx.conf <<'CONF'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /samples/result/nginx-error.log warn;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  log_format json escape=json '{"time":"$time_iso8601","remote_addr":"$remote_addr","remote_user":"$remote_user",'
    '"method":"$request_method","uri":"$request_uri","protocol":"$server_protocol","status":$status,'
    '"body_bytes_sent":$body_bytes_sent,"request_time":$request_time,"upstream_response_time":"$upstream_response_time",'
    '"referer":"$http_referer","user_agent":"$http_user_agent"}';
  limit_req_zone $binary_remote_addr zone=search:1m rate=1r/s;
  root /srv/www;
  proxy_connect_timeout 1s;
  proxy_read_timeout 1s;
  client_max_body_size 1k;
  server { listen 80; listen [::]:80; access_log /samples/result/nginx-access.log combined; include /etc/nginx/site.conf; }
  server { listen 8081; access_log /samples/result/nginx-access-json.log json; include /etc/nginx/site.conf; }
  # A backend that answers late or with errors, for the proxied paths; it logs nowhere.
  server {
    listen 127.0.0.1:9000; access_log off;
    location /api/fail { return 500 "failed\n"; }
    location /api/busy { return 503 "busy\n"; }
    location /api/ { default_type application/json; return 200 '{"ok":true}\n'; }
  }
}
CONF
cat > /etc/nginx/site.conf <<'CONF'
server_name web-1;
location /old { return 301 /static/page1.html; }
location /admin { deny all; }
location /search { limit_req zone=search; try_files /index.html =404; }
location /account { auth_basic "account"; auth_basic_user_file /etc/nginx/users; }
location /api/ { proxy_pass http://127.0.0.1:9000; }
location /down/ { proxy_pass http://127.0.0.1:9; }
location /loop { rewrite ^ /loop last; }
CONF
printf 'alice:%s\n' "$(openssl passwd -apr1 correct)" > /etc/nginx/users
nginx

mkdir -p /run/lock/apache2 /run/apache2 /var/log/apache2
cat > /etc/apache2/ports.conf <<'CONF'
Listen 8080
Listen 8082
CONF
cat > /etc/apache2/sites-available/000-default.conf <<'CONF'
ServerName web-1
ErrorLog /samples/result/apache-error.log
<Directory /srv/www>
  Require all granted
</Directory>
<VirtualHost *:8080>
  DocumentRoot /srv/www
  Redirect permanent /old /static/page1.html
  <Location /admin>
    Require all denied
  </Location>
  CustomLog /samples/result/apache-common.log common
</VirtualHost>
<VirtualHost *:8082>
  DocumentRoot /srv/www
  Redirect permanent /old /static/page1.html
  <Location /admin>
    Require all denied
  </Location>
  CustomLog /samples/result/apache-combined.log combined
</VirtualHost>
CONF
apache2ctl start

# visit ADDRESS AGENT PORT PATH...: one curl process that fetches the paths over one connection.
visit() {
  local address=$1 agent=$2 port=$3; shift 3
  local urls=()
  for path in "$@"; do urls+=("http://127.0.0.1:$port$path"); done
  curl -s --path-as-is --interface "$address" -A "$agent" -e "http://web-1/" "${urls[@]}" > /dev/null || true
}
firefox='Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
chrome='Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
phone='Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
monitor='kube-probe/1.30'
scanner='Mozilla/5.0 zgrab/0.x'

scan=(/.env /.git/config /wp-login.php /wp-admin/setup-config.php /phpmyadmin/index.php /admin/login
  /admin/config.php /cgi-bin/luci /vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php /actuator/health
  /server-status /.aws/credentials /backup.sql /config.json /xmlrpc.php /shell.php /manager/html /solr/
  /HNAP1 /boaform/admin/formLogin /owa/auth/logon.aspx /.DS_Store /admin/backup /phpinfo.php
  '/index.php?s=/Index/%5Cthink%5Capp/invokefunction' '/?a=fetch&content=<php>die(@md5(HelloThinkCMF))</php>'
  '/../../../../etc/passwd' /admin/users /admin/shell /login.action)

normal() { # normal PORT ROUNDS
  local round
  for round in $(seq "$2"); do
    visit 192.0.2.10 "$firefox" "$1" / /static/site.css /static/page1.html "/static/page$((round % 6 + 1)).html"
    visit 192.0.2.11 "$chrome" "$1" / "/static/page$((round % 5 + 1)).html?from=list&n=$round" /old /favicon.ico
    visit 192.0.2.12 "$phone" "$1" "/static/page$((round % 6 + 1)).html" "/search?q=term$round"
    visit 127.0.0.1 "$monitor" "$1" /api/health
    visit 192.0.2.13 curl/7.88.1 "$1" "/api/items/$((round * 37))" "/api/items/$((round * 37))/parts"
    sleep 0.2
  done
}
normal 80 25
normal 8081 20
visit 127.0.0.66 "$scanner" 80 "${scan[@]}" "${scan[@]}"
visit 198.51.100.23 "$scanner" 8081 "${scan[@]}"
curl -s -u alice:correct http://127.0.0.1/account > /dev/null
for n in 1 2 3 4 5 6; do curl -s --interface 192.0.2.66 -u "alice:guess$n" http://127.0.0.1/account > /dev/null; done
curl -s --interface 192.0.2.66 -u mallory:guess http://127.0.0.1/account > /dev/null
# A burst of server errors: the backend fails, is busy, or is not there at all.
for n in $(seq 15); do
  visit 192.0.2.13 curl/7.88.1 80 /api/fail /api/busy "/down/$n" /loop
  visit 192.0.2.13 curl/7.88.1 8081 /api/fail /api/busy "/down/$n"
done
curl -s --interface 192.0.2.10 -g 'http://[2001:db8::7]/' > /dev/null || true
curl -s -g --interface 2001:db8::7 'http://[::1]/static/page2.html' > /dev/null || true
head -c 5000 /dev/zero | curl -s --interface 192.0.2.12 -A "$phone" --data-binary @- http://127.0.0.1/api/upload > /dev/null || true
curl -s -X DELETE -A 'agent with "quotes" and \ backslash' http://127.0.0.1/static/page1.html > /dev/null || true
curl -s -I http://127.0.0.1/static/page3.html > /dev/null
# What is no HTTP: a TLS greeting, a broken request line, and nothing at all.
for bytes in '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' 'GET /\r\n\r\n' 'NONSENSE\r\n\r\n' 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'; do
  for port in 80 8081; do
    { printf "$bytes" >&3; timeout 1 cat <&3 > /dev/null || true; } 3<> "/dev/tcp/127.0.0.1/$port"
  done
done
normal 8080 12
visit 127.0.0.66 "$scanner" 8080 "${scan[@]}"
normal 8082 12
visit 127.0.0.66 "$scanner" 8082 "${scan[@]}"
normal 80 10

nginx -s quit
apache2ctl stop > /dev/null 2>&1
sleep 1
