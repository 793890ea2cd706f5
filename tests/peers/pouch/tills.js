// PouchDB's column: the same work in the same order as `src/measure.rs` does for the others. The terminals are databases of
// this process, each in a directory of its own, in live sync with the server, which is a process of its own.
//
// PouchDB gives LevelDB no sync, so a sale that it answers for is lost with the power. Here a sale counts as safe when
// LevelDB's log was synced after it, as everywhere else in the table; the time for that is part of the figure.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const net = require('net');
const path = require('path');
const readline = require('readline');
const { promisify } = require('util');
const PouchDB = require('pouchdb');

require('events').defaultMaxListeners = 0;

const PATIENCE_MS = 120000;
const AT_ONCE = 8;
const [work, dir] = [JSON.parse(fs.readFileSync(process.argv[2])), process.argv[3]];
const sleep = promisify(setTimeout);
const now = () => process.hrtime.bigint();
const fdatasync = promisify(fs.fdatasync);

const inTime = (what, promise) => {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what}: not within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// A cable that can be cut: every connection ends at once, new ones are refused.
class Cable {
  constructor(port) {
    this.isCut = false;
    this.open = new Set();
    this.server = net.createServer((near) => {
      if (this.isCut) return near.destroy();
      const far = net.connect(port, '127.0.0.1');
      for (const [one, other] of [[near, far], [far, near]]) {
        one.setNoDelay(true);
        this.open.add(one);
        one.on('error', () => {});
        one.on('close', () => { this.open.delete(one); other.destroy(); });
        one.pipe(other);
      }
    });
  }
  async lay() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    return this.server.address().port;
  }
  cut(cut) {
    this.isCut = cut;
    if (cut) for (const socket of this.open) socket.destroy();
  }
  end() {
    this.cut(true);
    this.server.close();
  }
}

class Till {
  constructor(place, port) {
    this.place = place;
    this.database = new PouchDB(place);
    this.has = new Set();
    this.waiting = new Map();
    this.feed = this.database.changes({ live: true, since: 0 });
    this.feed.on('change', ({ id }) => {
      this.has.add(id);
      for (const tell of this.waiting.get(id) || []) tell();
      this.waiting.delete(id);
    });
    // Asks again soon: the kindest that its settings allow.
    const soon = { live: true, retry: true, back_off_function: () => 100 };
    this.sync = this.database.sync(`http://127.0.0.1:${port}/shop`, soon);
    this.sync.on('error', () => {});
  }
  async sell(id, sale) {
    await this.database.put({ _id: id, sale });
    await this.makeSafe();
    return id;
  }
  async makeSafe() {
    const logs = fs.readdirSync(this.place).filter((name) => name.endsWith('.log')).sort();
    if (!this.log || this.logName !== logs[logs.length - 1]) {
      if (this.log) fs.closeSync(this.log);
      this.logName = logs[logs.length - 1];
      this.log = fs.openSync(path.join(this.place, this.logName), 'r+');
    }
    await fdatasync(this.log);
  }
  shown(id) {
    if (this.has.has(id)) return Promise.resolve();
    return new Promise((tell) => this.waiting.set(id, [...(this.waiting.get(id) || []), tell]));
  }
  async stop() {
    this.sync.cancel();
    this.feed.cancel();
    await sleep(50);
    if (this.log) fs.closeSync(this.log);
    await this.database.close();
  }
}

class Shop {
  static async open(place, tills, cables) {
    const shop = new Shop();
    shop.place = place;
    shop.hub = spawn(process.execPath, [path.join(__dirname, 'server.js'), path.join(place, 'hub')], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = await require('events').once(readline.createInterface({ input: shop.hub.stdout }), 'line');
    shop.port = Number(line);
    if (cables) shop.cable = new Cable(shop.port);
    const front = cables ? await shop.cable.lay() : shop.port;
    shop.tills = [];
    for (let nth = 0; nth < tills; nth += 1) await shop.join(nth + 1 === tills ? front : shop.port);
    // Linked means that a word of each reached all.
    for (let nth = 0; nth < tills; nth += 1) await shop.tills[nth].sell(`hello-${nth}`, '');
    for (const till of shop.tills) {
      for (let nth = 0; nth < tills; nth += 1) await inTime('all links', till.shown(`hello-${nth}`));
    }
    return shop;
  }
  async join(port) {
    const place = path.join(this.place, `till-${this.tills.length + 1}`);
    this.tills.push(new Till(place, port));
    return this.tills.length - 1;
  }
  async stop() {
    if (this.cable) this.cable.end();
    for (const till of this.tills) await till.stop();
    this.hub.stdin.end();
    if (this.hub.exitCode === null) await require('events').once(this.hub, 'exit');
  }
}

const resident = (pid) => Number(/VmRSS:\s*(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
const loopback = () => Number(/lo:\s*(\d+)/.exec(fs.readFileSync('/proc/net/dev', 'utf8'))[1]);
const spread = (samples) => {
  if (samples.length === 0) return { cannot: 'no samples' };
  const sorted = samples.map(Number).sort((a, b) => a - b);
  const rank = (perMille) => sorted[Math.max(Math.ceil((sorted.length * perMille) / 1000), 1) - 1];
  return { spread: [rank(500), rank(990)] };
};
// A JSON store keeps bytes as text; base64 is the shortest that it takes.
const text = (hex) => Buffer.from(hex, 'hex').toString('base64');

async function day(shop) {
  const [ids, durable, shown, before] = [[], [], [], loopback()];
  for (let nth = 0; nth < work.day.length; nth += 1) {
    const till = nth % work.tills;
    const sale = text(work.day[nth]);
    const started = now();
    const id = await inTime('a sale', shop.tills[till].sell(`day-${nth}`, sale));
    durable.push(now() - started);
    for (const other of shop.tills) await inTime('a sale to be shown', other.shown(id));
    shown.push(now() - started);
    ids.push(id);
    await sleep(work.pause_ms);
  }
  return { ids, durable, shown, wire: loopback() - before };
}

async function partition(place) {
  const shop = await Shop.open(place, work.tills, true);
  const others = work.tills - 1;
  const away = shop.tills[others];
  const dark = Date.now();
  shop.cable.cut(true);
  const own = Math.floor(work.hour.length / work.tills);
  const [theirs, ours, alone] = [[], [], []];
  let next = own;
  const cashier = async () => {
    while (next < work.hour.length) {
      const nth = next;
      next += 1;
      theirs.push(await inTime('a sale', shop.tills[nth % others].sell(`hour-${nth}`, text(work.hour[nth]))));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, cashier));
  // The others come to rest first: in a shop they have processors of their own.
  for (const till of shop.tills.slice(0, others)) {
    for (const id of theirs) await inTime('a sale to be shown', till.shown(id));
  }
  for (let nth = 0; nth < own; nth += 1) {
    const sale = text(work.hour[nth]);
    const started = now();
    ours.push(await inTime('a sale while cut off', away.sell(`away-${nth}`, sale)));
    alone.push(now() - started);
  }
  await sleep(Math.max(0, work.dark_ms - (Date.now() - dark)));
  const started = now();
  shop.cable.cut(false);
  for (const id of theirs) await inTime('a sale to be caught up', away.shown(id));
  for (const till of shop.tills.slice(0, others)) {
    for (const id of ours) await inTime('a sale of the cut terminal to be shown', till.shown(id));
  }
  const healed = now() - started;
  await shop.stop();
  return [spread(alone), Number(healed)];
}

async function main() {
  const [dayPlace, cutPlace] = ['day', 'cut'].map((name) => path.join(dir, name));
  for (const place of [dayPlace, cutPlace]) fs.mkdirSync(place, { recursive: true });
  const before = resident(process.pid);
  const shop = await Shop.open(dayPlace, work.tills, false);
  const done = await day(shop);
  const held = Math.floor(Math.max(0, resident(process.pid) - before) / work.tills);
  const ofHub = resident(shop.hub.pid);

  const started = now();
  const blank = shop.tills[await shop.join(shop.port)];
  for (const id of done.ids) await inTime('a blank terminal', blank.shown(id));
  await inTime("a blank terminal's first sale", blank.sell('first', text(work.hour[0])));
  const joined = Number(now() - started);
  await shop.stop();

  const [alone, catchUp] = await partition(cutPlace);
  const column = {
    durable: spread(done.durable), shown: spread(done.shown), alone, catch_up: { took: catchUp }, blank: { took: joined },
    wire: { bytes: done.wire }, memory_till: { bytes: held }, memory_hub: { bytes: ofHub },
  };
  console.log(JSON.stringify(column));
  process.exit(0);
}

// PouchDB asks the server who it is in a promise that it gives nobody; when that breaks off, its live sync asks again. What we
// wait for ourselves has a time.
process.on('unhandledRejection', (error) => console.error(`PouchDB, to nobody: ${error.message}`));
main().catch((error) => { console.error(error); process.exit(1); });
