// The peer: a Telegraf bot that answers /start with the text ours was heard to say.
'use strict';
const http = require('http');
const { Telegraf } = require('telegraf');

const text = JSON.parse(process.env.BENCH_TEXT);
const bot = new Telegraf(process.env.TELEGRAM_BOT_TOKEN, {
  telegram: { apiRoot: process.env.TELEGRAM_API_URL, agent: new http.Agent({ keepAlive: true }) },
});
bot.start((ctx) => ctx.reply(text, { parse_mode: 'HTML' }));
bot.launch();
