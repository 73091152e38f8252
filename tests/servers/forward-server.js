#!/usr/bin/env node
// A server of the Forward protocol for tests: FluentServer of npm's @fluent-org/logger, with ways to make
// trouble. The package's protocol code is not changed; its functions are wrapped to see what they see.
//
//   node forward-server.js --modules DIR --out FILE [--port N]
//     [--shared-key KEY --hostname NAME [--user NAME --password WORD]]
//     [--tls-cert FILE --tls-key FILE [--client-ca FILE]]
//
// FILE gets one JSON object a line:
//   {"listening":PORT}   {"connected":{"conn":N}}   {"closed":{"conn":N}}
//   {"authenticated":{"client":NAME,"user":NAME}}   {"refused":{"client":NAME,"reason":TEXT}}
//   {"event":{"tag","time":{"s","ns"} or a number,"record","chunk","mode"}}
//   {"message":{"tag","mode","entries","chunk","size","compressed","conn","acked"}}, for those that ask for an
//   acknowledgement; `acked` says whether they got the right one
//   {"told":ORDER} when an order from standard input has been taken
//
// Orders, one a line:
//   ack on | off | wrong | delay MS | drop N      how the next messages are acknowledged
//   close | reset                                 all connections, at once
//   close-after N | reset-after N                 at the Nth message from now on, taken but not acknowledged
// The process ends when its standard input does.
//
// It binds to loopback only. The package acknowledges before it hands the entries out, so a line of `event` may
// come a moment after the acknowledgement.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const tls = require('tls');

const args = {};
for (let i = 2; i < process.argv.length; i += 2) args[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

const build = path.join(args.modules, '@fluent-org', 'logger', 'build', 'src');
const { FluentServer } = require(path.join(build, 'server.js'));
const protocol = require(path.join(build, 'protocol.js'));

const file = fs.openSync(args.out, 'a');
const plain = (key, value) => (typeof value === 'bigint' ? value.toString() : value);
const out = line => fs.writeSync(file, JSON.stringify(line, plain) + '\n');

const how = { ack: true, wrong: false, delay: 0, drop: 0, closeAfter: 0, resetAfter: 0 };
const sockets = new Map();
let connections = 0;

// The server looks these functions up on the module when it calls them. It parses a message and makes its
// acknowledgement in one turn, so `current` is the message that an acknowledgement belongs to.
let current = null;
const parseTransport = protocol.parseTransport;
protocol.parseTransport = message => {
  const mode = protocol.isMessageMode(message) ? 'Message'
    : protocol.isForwardMode(message) ? 'Forward'
    : protocol.isCompressedPackedForwardMode(message) ? 'CompressedPackedForward' : 'PackedForward';
  const option = mode === 'Message' ? message[3] : message[2];
  const parsed = parseTransport(message);
  current = { mode, tag: parsed.tag, entries: parsed.entries.length, chunk: parsed.chunk,
    size: option && option.size, compressed: option && option.compressed };
  return parsed;
};
const checkPing = protocol.checkPing;
protocol.checkPing = (...given) => {
  const [, client, , , user] = given[0];
  try {
    const checked = checkPing(...given);
    out({ authenticated: { client, user } });
    return checked;
  } catch (error) {
    out({ refused: { client, reason: error.message } });
    throw error;
  }
};

function reset(socket) {
  // TLS has no reset of its own; its connection is broken off.
  if (socket.resetAndDestroy && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy();
  else (socket._parent || socket).destroy();
}

// What is done instead of the acknowledgement that is to be written, or null.
function instead(socket) {
  if (how.closeAfter > 0 && --how.closeAfter === 0) return () => socket.destroy();
  if (how.resetAfter > 0 && --how.resetAfter === 0) return () => reset(socket);
  if (how.drop > 0) { how.drop--; return () => {}; }
  return how.ack ? null : () => {};
}

class Server extends FluentServer {
  async handleConnection(socket) {
    const conn = ++connections;
    sockets.set(conn, socket);
    out({ connected: { conn } });
    socket.on('close', () => { sockets.delete(conn); out({ closed: { conn } }); });
    // The package listens to no errors; an unheard one ends the process.
    socket.on('error', () => {});
    const write = socket.write.bind(socket);
    socket.write = (data, ...rest) => {
      let decoded;
      try { decoded = protocol.decode(data); } catch { return write(data, ...rest); }
      if (!protocol.isAck(decoded)) return write(data, ...rest);
      const other = instead(socket);
      out({ message: { ...current, conn, acked: !other && !how.wrong } });
      if (other) { other(); return true; }
      const answer = how.wrong ? protocol.encodeMessage({ ack: 'not-' + decoded.ack }) : data;
      if (!how.delay) return write(answer, ...rest);
      setTimeout(() => { if (!socket.destroyed) write(answer); }, how.delay);
      return true;
    };
    return super.handleConnection(socket);
  }

  onEntry(tag, time, record) {
    const at = typeof time === 'number' ? time : { s: time.epoch, ns: time.nano };
    out({ event: { tag, time: at, record, chunk: current && current.chunk, mode: current && current.mode } });
  }
}

const options = { listenOptions: { port: Number(args.port || 0), host: '127.0.0.1' } };
if (args['shared-key']) {
  options.security = { sharedKey: args['shared-key'], serverHostname: args.hostname, authorize: Boolean(args.user),
    userDict: args.user ? { [args.user]: args.password } : {} };
}
if (args['tls-cert']) {
  options.tlsOptions = { cert: fs.readFileSync(args['tls-cert']), key: fs.readFileSync(args['tls-key']) };
  if (args['client-ca']) {
    Object.assign(options.tlsOptions, { ca: fs.readFileSync(args['client-ca']), requestCert: true, rejectUnauthorized: true });
  }
}
const server = new Server(options);
server.listen().then(() => out({ listening: server.port }));

function take(order) {
  const [verb, first, second] = order.trim().split(/\s+/);
  if (verb === 'ack') {
    how.ack = first !== 'off';
    how.wrong = first === 'wrong';
    how.delay = first === 'delay' ? Number(second) : 0;
    how.drop = first === 'drop' ? Number(second) : 0;
  } else if (verb === 'close') for (const socket of sockets.values()) socket.destroy();
  else if (verb === 'reset') for (const socket of sockets.values()) reset(socket);
  else if (verb === 'close-after') how.closeAfter = Number(first);
  else if (verb === 'reset-after') how.resetAfter = Number(first);
  else throw new Error(`no such order: ${order}`);
  out({ told: order });
}
readline.createInterface({ input: process.stdin }).on('line', take).on('close', () => process.exit(0));
