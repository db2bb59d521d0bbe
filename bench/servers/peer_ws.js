/* ws of Node.js, with bufferutil. The options are those of common.py. */

'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const words = process.argv.slice(2);
const tls = words.indexOf('--tls');
const port = words.indexOf('--port');
const everybody = words.includes('--broadcast');

const server =
  tls < 0
    ? http.createServer()
    : https.createServer({ cert: fs.readFileSync(words[tls + 1]), key: fs.readFileSync(words[tls + 2]) });
const websockets = new WebSocketServer({ server, perMessageDeflate: words.includes('--deflate') });

websockets.on('connection', (websocket) => {
  websocket.on('error', () => {});
  websocket.on('message', (data, binary) => {
    if (!everybody) {
      websocket.send(data, { binary });
      return;
    }
    for (const other of websockets.clients) {
      if (other.readyState === WebSocket.OPEN) other.send(data, { binary });
    }
  });
});

server.listen(port < 0 ? 0 : Number(words[port + 1]), '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
