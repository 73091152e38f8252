#!/usr/bin/env python3
"""A receiver of OTLP/HTTP for tests: decodes with PyPI's opentelemetry-proto, writes JSON lines, misbehaves as told.

  python3 otlp-server.py --packages DIR --out FILE [--port N]
                         [--tls-cert FILE --tls-key FILE [--client-ca FILE]] [--bearer TOKEN]

FILE gets one JSON object a line:
  {"listening": PORT}
  {"log": {...}} and {"metric": {...}} for each log record and each data point that was kept
  {"request": {"n", "path", "how", "headers", "status", "bytes", "raw", "encoding", "records", "rejected"}}
  {"told": {...}} when a plan from standard input has been taken
A status of 0 is no answer. Duplicate attributes stand in "!duplicate".

A plan is a line of JSON: {"steps": [...]}, after what is planned already, or {"clear": true}. Each request takes
one step; without one it is answered as OTLP says. Steps, in "do":
  ok
  status     with "code", "retry_after", "message", "body" ("status": a google.rpc.Status, "text", "empty")
  partial    the first "rejected" ones are not kept, with "message"
  reset      before the body is read
  reset_mid  after half of the body
  lost       decoded and kept, then a reset instead of the reply
  hang       closed without an answer after "seconds"
  slow       answered after "seconds"
  garbage    200 with a body that is no protobuf
"times": N repeats a step, "for": "/v1/logs" keeps it for a path.
The process ends when its standard input does. It binds to loopback only.
"""
import argparse
import base64
import gzip
import json
import math
import os
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument('--packages', required=True)
parser.add_argument('--out', required=True)
parser.add_argument('--port', type=int, default=0)
for option in ('--tls-cert', '--tls-key', '--client-ca', '--bearer'):
    parser.add_argument(option)
args = parser.parse_args()

sys.path.insert(0, args.packages)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: E402
    ExportLogsServiceRequest, ExportLogsServiceResponse)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: E402
    ExportMetricsServiceRequest, ExportMetricsServiceResponse)

lock = threading.Lock()
steps = []
requests = 0
out = open(args.out, 'a', encoding='utf-8')


def emit(lines):
    """Writes lines in one piece."""
    with lock:
        out.write(''.join(json.dumps(line) + '\n' for line in lines))
        out.flush()


# --- what was sent, as JSON ---

def value(any_value):
    kind = any_value.WhichOneof('value')
    if kind is None:
        return None
    inner = getattr(any_value, kind)
    if kind == 'array_value':
        return [value(one) for one in inner.values]
    if kind == 'kvlist_value':
        return {one.key: value(one.value) for one in inner.values}
    if kind == 'bytes_value':
        return {'bytes': base64.b64encode(inner).decode()}
    if kind == 'double_value' and not math.isfinite(inner):
        return str(inner)
    return inner


def attributes(pairs):
    found = {}
    for pair in pairs:
        if pair.key in found:
            found.setdefault('!duplicate', []).append(pair.key)
        found[pair.key] = value(pair.value)
    return found


def number(point):
    """A data point's value; one that JSON does not know as text, with its bits."""
    kind = point.WhichOneof('value')
    if kind is None:
        return {}
    inner = getattr(point, kind)
    if kind == 'as_double' and not math.isfinite(inner):
        return {kind: str(inner), 'bits': hex(struct.unpack('<Q', struct.pack('<d', inner))[0])}
    return {kind: inner}


def scope_of(scoped):
    scope = scoped.scope
    return {'name': scope.name, 'version': scope.version, 'attributes': attributes(scope.attributes)}


def logs(message):
    for of_resource in message.resource_logs:
        resource = attributes(of_resource.resource.attributes)
        for scoped in of_resource.scope_logs:
            for record in scoped.log_records:
                yield {'log': {
                    'time': record.time_unix_nano, 'observed': record.observed_time_unix_nano,
                    'severity_number': record.severity_number, 'severity_text': record.severity_text,
                    'event_name': record.event_name, 'body': value(record.body),
                    'attributes': attributes(record.attributes),
                    'dropped_attributes': record.dropped_attributes_count, 'flags': record.flags,
                    'trace_id': record.trace_id.hex(), 'span_id': record.span_id.hex(),
                    'resource': resource, 'resource_schema': of_resource.schema_url,
                    'scope': scope_of(scoped), 'scope_schema': scoped.schema_url}}


def metrics(message):
    for of_resource in message.resource_metrics:
        resource = attributes(of_resource.resource.attributes)
        for scoped in of_resource.scope_metrics:
            for metric in scoped.metrics:
                yield from points(metric, {'resource': resource, 'scope': scope_of(scoped)})


def points(metric, around):
    kind = metric.WhichOneof('data')
    data = getattr(metric, kind) if kind else None
    base = around | {'name': metric.name, 'unit': metric.unit, 'description': metric.description, 'kind': kind,
                     'metadata': attributes(metric.metadata)}
    if kind == 'sum':
        base |= {'monotonic': data.is_monotonic}
    if kind in ('sum', 'histogram', 'exponential_histogram'):
        base |= {'temporality': data.aggregation_temporality}
    for point in data.data_points if data else ():
        found = base | {'attributes': attributes(point.attributes), 'time': point.time_unix_nano,
                        'start': point.start_time_unix_nano, 'flags': point.flags}
        found |= number(point) if kind in ('gauge', 'sum') else {'count': point.count, 'sum': point.sum}
        yield {'metric': found}


KINDS = {
    '/v1/logs': (ExportLogsServiceRequest, ExportLogsServiceResponse, logs, 'rejected_log_records'),
    '/v1/metrics': (ExportMetricsServiceRequest, ExportMetricsServiceResponse, metrics, 'rejected_data_points'),
}


# --- answers ---

def varint(whole):
    encoded = bytearray()
    while whole > 127:
        encoded.append(whole & 127 | 128)
        whole >>= 7
    return bytes(encoded) + bytes([whole])


def status(code, message):
    """google.rpc.Status: code = 1 (int32), message = 2 (string)."""
    text = message.encode()
    return b'\x08' + varint(code) + b'\x12' + varint(len(text)) + text


def unpacked(raw, encoding):
    if encoding == 'gzip':
        return gzip.decompress(raw)
    return zlib.decompress(raw) if encoding == 'deflate' else raw


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1
    # Slow or broken senders are what tests make; what they did stands in the lines.
    timeout = 120

    def log_message(self, *_):
        pass

    def reset(self):
        """Closes with a reset, and without TLS' farewell."""
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        except OSError:
            pass
        # The reader and the writer hold the socket too: close what it stands for.
        os.close(self.connection.detach())

    def answer(self, code, body=b'', kind='application/x-protobuf', headers=()):
        try:
            self.send_response(code)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(body)))
            for name, text in headers:
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def body(self, part=1.0):
        if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
            whole = b''
            while length := int(self.rfile.readline().split(b';')[0], 16):
                whole += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(int(self.headers.get('Content-Length') or 0) * part))

    def next_step(self):
        global requests
        with lock:
            requests += 1
            at = next((i for i, step in enumerate(steps) if step.get('for', self.path) == self.path), None)
            return requests, steps.pop(at) if at is not None else {'do': 'ok'}

    def do_POST(self):
        n, step = self.next_step()
        headers = {name.lower(): text for name, text in self.headers.items()}
        request = {'n': n, 'path': self.path, 'how': step['do'], 'headers': headers}

        def done(code, **more):
            emit([{'request': request | {'status': code} | more}])

        if step['do'] in ('reset', 'reset_mid'):
            if step['do'] == 'reset_mid':
                self.body(0.5)
            done(0)
            return self.reset()
        raw = self.body()
        if step['do'] == 'hang':
            time.sleep(step.get('seconds', 30))
            self.close_connection = True
            return done(0)
        if step['do'] == 'slow':
            time.sleep(step.get('seconds', 1))
        if step['do'] == 'status':
            done(step['code'], raw=len(raw))
            return self.as_told(step)
        if args.bearer and self.headers.get('Authorization') != 'Bearer ' + args.bearer:
            done(401)
            return self.answer(401, status(16, 'no valid token'))
        if self.path not in KINDS:
            done(404)
            return self.answer(404, status(5, 'no such path'))
        if self.headers.get('Content-Type', '').split(';')[0].strip() != 'application/x-protobuf':
            done(415)
            return self.answer(415, status(3, 'Content-Type must be application/x-protobuf'))
        self.export(step, request, raw, done)

    def as_told(self, step):
        headers = [('Retry-After', str(step['retry_after']))] if 'retry_after' in step else []
        message = step.get('message', 'as told')
        if step.get('body', 'status') == 'status':
            return self.answer(step['code'], status(step.get('grpc', 14), message), headers=headers)
        text = message.encode() if step['body'] == 'text' else b''
        self.answer(step['code'], text, 'text/plain', headers)

    def export(self, step, request, raw, done):
        message_type, response_type, read, field = KINDS[self.path]
        encoding = self.headers.get('Content-Encoding', 'identity')
        try:
            data = unpacked(raw, encoding)
            lines = list(read(message_type.FromString(data)))
        except Exception as error:
            done(400, error=repr(error))
            return self.answer(400, status(3, repr(error)))
        rejected = min(step.get('rejected', 0), len(lines)) if step['do'] == 'partial' else 0
        lost = step['do'] == 'lost'
        request |= {'status': 0 if lost else 200, 'bytes': len(data), 'raw': len(raw), 'encoding': encoding,
                    'records': len(lines), 'rejected': rejected}
        emit(lines[rejected:] + [{'request': request}])
        if lost:
            return self.reset()
        response = response_type()
        if step['do'] == 'partial':
            setattr(response.partial_success, field, rejected)
            response.partial_success.error_message = step.get('message', 'rejected by the test')
        self.answer(200, b'\xff\xfe no protobuf' if step['do'] == 'garbage' else response.SerializeToString())


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def take_plans():
    """Until standard input ends, and the process with it."""
    for line in sys.stdin:
        plan = json.loads(line)
        with lock:
            if plan.get('clear'):
                steps.clear()
            for step in plan.get('steps', []):
                steps.extend([step] * step.get('times', 1))
        emit([{'told': plan}])
    os._exit(0)


server = Server(('127.0.0.1', args.port), Handler)
if args.tls_cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.tls_cert, args.tls_key)
    if args.client_ca:
        context.load_verify_locations(args.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=take_plans, daemon=True).start()
emit([{'listening': server.server_address[1]}])
server.serve_forever()
