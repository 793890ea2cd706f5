// The server of PouchDB's column: express-pouchdb over LevelDB in the directory that is given. Says its port, and ends with
// its standard input.
'use strict';

const express = require('express');
const PouchDB = require('pouchdb');

const dir = process.argv[2] + '/';
require('fs').mkdirSync(dir, { recursive: true });
// Every terminal listens twice to the one database: more than Node expects of a friend.
require('events').defaultMaxListeners = 0;

const app = express();
const pouch = PouchDB.defaults({ prefix: dir });
app.use('/', require('express-pouchdb')(pouch, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: dir + 'log.txt' }));
const server = app.listen(0, '127.0.0.1', async () => {
  await new pouch('shop').info();
  console.log(server.address().port);
});
server.on('connection', (socket) => socket.setNoDelay(true));
process.stdin.on('end', () => process.exit(0)).resume();
