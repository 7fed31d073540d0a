// Azure Blob Storage for tests: Azurite, in memory, with a container `state`.
//
// Prints `port N`, and ends when its standard input does: it never outlives the tests.
'use strict';
const crypto = require('crypto');
const http = require('http');
const net = require('net');
const path = require('path');

const home = process.argv[2];
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

// The account and key that Azurite's documentation gives to everybody.
const account = 'devstoreaccount1';
const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

function createContainer(port, name, done) {
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' };
  const canonical = Object.keys(headers).sort().map((header) => `${header}:${headers[header]}\n`).join('');
  const text = `PUT\n\n\n\n\n\n\n\n\n\n\n\n${canonical}/${account}/${account}/${name}\nrestype:container`;
  const signature = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64');
  const options = {
    host: '127.0.0.1', port, method: 'PUT', path: `/${account}/${name}?restype=container`,
    headers: { ...headers, Authorization: `SharedKey ${account}:${signature}`, 'Content-Length': 0 },
  };
  http.request(options, (answer) => { answer.resume(); done(answer.statusCode); })
    .on('error', () => done(0)).end();
}

const probe = net.createServer();
probe.listen(0, '127.0.0.1', () => {
  const port = probe.address().port;
  probe.close(() => {
    process.argv.splice(2, process.argv.length, '--blobHost', '127.0.0.1', '--blobPort', String(port),
      '--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry');
    require(path.join(home, 'npm/node_modules/azurite/dist/src/blob/main.js'));
    const late = setTimeout(() => process.exit(1), 120000);
    const wait = () => createContainer(port, 'state', (code) => {
      if (code !== 201) { setTimeout(wait, 100); return; }
      clearTimeout(late);
      process.stdout.write(`port ${port}\n`);
    });
    wait();
  });
});
