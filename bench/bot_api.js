// A neutral Bot API server: hands out 5,000 /start over 100 chats, 100 per poll, counts the replies. It speaks HTTP by hand,
// because node's own http module would be what limits the faster bots. Says on standard output: port, begin, text (of the
// first reply), done (milliseconds from the first updates to the last reply), quiet (200 ms later).
'use strict';
const net = require('net');

const UPDATES = 5000, CHATS = 100, LIMIT = 100;
let replies = 0, began = 0n;

function update(id) {
  const chat = 1000 + (id % CHATS);
  return {
    update_id: id,
    message: {
      message_id: id, date: 1700000000,
      from: { id: chat, is_bot: false, first_name: 'User', language_code: 'en' },
      chat: { id: chat, first_name: 'User', type: 'private' },
      text: '/start', entities: [{ offset: 0, length: 6, type: 'bot_command' }],
    },
  };
}

function answer(socket, result) {
  const body = '{"ok":true,"result":' + result + '}';
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: ' +
    body.length + '\r\n\r\n' + body);
}

function getUpdates(socket, body) {
  const from = Math.max(1, JSON.parse(body || '{}').offset || 1), list = [];
  if (from > UPDATES) return; // held until the connection ends
  if (!began) {
    began = process.hrtime.bigint();
    console.log('begin');
  }
  for (let id = from; id <= UPDATES && list.length < LIMIT; id++) list.push(update(id));
  answer(socket, JSON.stringify(list));
}

function sendMessage(socket, body) {
  const chat = /"chat_id":\s*"?(-?\d+)/.exec(body)[1];
  answer(socket, '{"message_id":' + (100000 + replies) + ',"date":1700000000,' +
    '"chat":{"id":' + chat + ',"type":"private"},"text":"."}');
  if (++replies === 1) console.log('text ' + JSON.stringify(JSON.parse(Buffer.from(body, 'latin1').toString()).text));
  if (replies !== UPDATES) return;
  console.log('done ' + Number(process.hrtime.bigint() - began) / 1e6);
  setTimeout(() => console.log('quiet'), 200);
}

function handle(socket, method, body) {
  if (method === 'sendMessage') sendMessage(socket, body);
  else if (method === 'getUpdates') getUpdates(socket, body);
  else if (method === 'getMe') answer(socket, '{"id":123456,"is_bot":true,"first_name":"Bench","username":"bench_bot"}');
  else answer(socket, 'true');
}

net.createServer((socket) => {
  let data = '';
  socket.setNoDelay(true);
  socket.setEncoding('latin1'); // one character is one byte
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    data += chunk;
    for (let end; (end = data.indexOf('\r\n\r\n')) >= 0;) {
      const head = data.slice(0, end), length = /content-length: *(\d+)/i.exec(head);
      const next = end + 4 + (length ? Number(length[1]) : 0);
      if (data.length < next) return;
      const body = data.slice(end + 4, next);
      data = data.slice(next);
      handle(socket, /^\S+ \/bot[^/]+\/(\w+)/.exec(head)[1], body);
    }
  });
}).listen(0, '127.0.0.1', function () { console.log('port ' + this.address().port); });
