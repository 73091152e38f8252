# The framing of container runtimes around real lines: CRI (containerd, CRI-O) with a partial line, and
# Docker's json-file. The container runtimes themselves are not run.
cd /samples/result
second=0
head -n 60 nginx-error.log | while IFS= read -r line; do
  second=$((second + 1))
  stamp=$(printf '2025-01-15T10:%02d:%02d.%09dZ' $((second / 60)) $((second % 60)) $((second * 1234567)))
  if [ ${#line} -gt 240 ]; then
    printf '%s stderr P %s\n%s stderr F %s\n' "$stamp" "${line:0:200}" "$stamp" "${line:200}"
  else
    printf '%s stderr F %s\n' "$stamp" "$line"
  fi
done > container-cri.log
second=0
head -n 60 nginx-access.log | while IFS= read -r line; do
  second=$((second + 1))
  escaped=${line//\\/\\\\}; escaped=${escaped//\"/\\\"}
  printf '{"log":"%s\\n","stream":"stdout","time":"2025-01-15T11:%02d:%02d.%09dZ"}\n' \
    "$escaped" $((second / 60)) $((second % 60)) $((second * 1234567))
done > container-docker.log
cd /samples/make
