// The peer: a bare echo on Node's ws.
'use strict';
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => console.log('port ' + server.address().port));
server.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
