// Verifies a status update and commits it before it answers. One process, one connection, statements prepared once.
const crypto = require('crypto');
const express = require('express');
const Database = require('better-sqlite3');

const ledger = new Database(process.env.LEDGER);
ledger.pragma('synchronous = FULL');
const addEvent = ledger.prepare('INSERT INTO event (reference, at, body) VALUES (?, ?, ?)');
const setPayment = ledger.prepare(`INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO UPDATE SET
  status = excluded.status, last_changed = excluded.last_changed`);
const keep = ledger.transaction((fields, body) => {
  const now = Date.now();
  addEvent.run(fields.get('reference'), now, body);
  setPayment.run(fields.get('reference'), fields.get('paynowreference'), fields.get('amount'), fields.get('status'),
    fields.get('pollurl'), now);
});

const shop = express();
shop.disable('x-powered-by');
shop.post('/paynow/shop', express.raw({ type: '*/*', limit: '64kb' }), (request, response) => {
  const fields = new URLSearchParams(request.body.toString('utf8'));
  let text = '';
  for (const [name, value] of fields) if (name.toLowerCase() !== 'hash') text += value;
  const wanted = crypto.createHash('sha512').update(text + process.env.PAYNOW_KEY).digest('hex').toUpperCase();
  const given = fields.get('hash') || '';
  if (given.length !== wanted.length || !crypto.timingSafeEqual(Buffer.from(given), Buffer.from(wanted))) {
    return response.status(403).end();
  }
  keep(fields, request.body);
  response.status(200).end();
});
shop.listen(Number(process.env.PORT), '127.0.0.1');
