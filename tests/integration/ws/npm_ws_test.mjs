// npm's ws as client of our server and as server of our client. Run by npm_ws_test.py, which installs
// it:  node npm_ws_test.mjs ECHO_PROGRAM [RESULTS_XML]
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import WebSocket, { WebSocketServer } from 'ws';

const [program, resultsFile] = process.argv.slice(2);
const cases = [];

async function run(name, body) {
  let failure;
  try {
    await Promise.race([body(), timeout(60000)]);
  } catch (error) {
    failure = String(error.stack ?? error);
    console.log(`FAILED ${name}: ${failure}`);
  }
  cases.push({ name, failure });
}

function timeout(ms) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error('took too long')), ms).unref());
}

// Messages in the order they came, for code that reads them one by one.
class Inbox {
  constructor(ws) {
    this.ws = ws;
    this.waiting = [];
    this.got = [];
    ws.on('message', (data, binary) => this.put({ data: binary ? data : data.toString(), binary }));
    ws.on('error', () => {});
    this.closed = new Promise((resolve) =>
      ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.closed.then((end) => this.waiting.splice(0).forEach((w) => w({ end })));
  }
  put(message) {
    const next = this.waiting.shift();
    if (next) next(message);
    else this.got.push(message);
  }
  next() {
    return this.got.length ? Promise.resolve(this.got.shift()) : new Promise((resolve) => this.waiting.push(resolve));
  }
  async expect(data) {
    const message = await this.next();
    assert.ok(!message.end, `ended with ${JSON.stringify(message.end)}`);
    assert.equal(message.binary, Buffer.isBuffer(data));
    assert.ok(message.binary ? message.data.equals(data) : message.data === data, `wrong echo of ${data.length}`);
  }
}

const talks = {
  async sizes({ ws, inbox }) {
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
      const data = randomBytes(size);
      ws.send(data);
      await inbox.expect(data);
      const text = 'aß€'.repeat(size / 3 + 1).slice(0, size);
      ws.send(text);
      await inbox.expect(text);
    }
  },
  async fragments({ ws, inbox }) {
    const parts = [1, 0, 126, 70000, 5].map((n) => randomBytes(n));
    parts.forEach((part, i) => ws.send(part, { binary: true, fin: i === parts.length - 1 }));
    await inbox.expect(Buffer.concat(parts));
    ws.send('a€', { fin: false });
    ws.ping('between');
    ws.send('uro', { fin: true });
    const [pong] = await once(ws, 'pong');
    assert.equal(pong.toString(), 'between');
    await inbox.expect('a€uro');
  },
  async 'their ping'({ ws, inbox }) {
    for (const body of ['', 'x'.repeat(125)]) {
      ws.ping(body);
      const [pong] = await once(ws, 'pong');
      assert.equal(pong.toString(), body);
    }
    ws.pong('unsolicited'); // taken, and reported because of --commands
    await inbox.expect('!pong unsolicited');
    ws.send('still there');
    await inbox.expect('still there');
  },
  async 'our ping'({ ws, inbox }) {
    ws.send('!ping abc');
    await inbox.expect('!pong abc');
  },
  async pipelined({ ws, inbox }) {
    const messages = Array.from({ length: 2000 }, (_, i) => randomBytes(i % 300));
    for (const message of messages) ws.send(message);
    for (const message of messages) await inbox.expect(message);
  },
};
for (const code of [1000, 1001, 3000, 4999]) {
  talks[`their close ${code}`] = async ({ ws, inbox }) => {
    // ws sends only codes it deems valid; 1001 is among them.
    ws.close(code, 'bye');
    assert.equal((await inbox.closed).code, code);
  };
}
for (const code of [1000, 1008, 4000]) {
  talks[`our close ${code}`] = async ({ ws, inbox }) => {
    ws.send(`!close ${code} bye now`);
    assert.deepEqual(await inbox.closed, { code, reason: 'bye now' });
  };
}
talks['invalid text'] = async ({ ws, inbox }) => {
  ws.send(Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]), { binary: false });
  assert.equal((await inbox.closed).code, 1007);
};
talks.garbage = async ({ ws, inbox }) => {
  ws._socket.write(Buffer.from([0xff, 0x00, 0x00, 0x00, 0x00, 0x00]));
  assert.equal((await inbox.closed).code, 1002);
};

async function echoServer(...flags) {
  const child = spawn(program, ['server', '--commands', ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  return { port: Number(line), stop: () => child.stdin.end() };
}

async function withTheirClient(port, talk, path = '/echo', protocols = []) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols);
  const inbox = new Inbox(ws);
  await Promise.race([once(ws, 'open'), once(ws, 'error').then(([e]) => Promise.reject(e))]);
  assert.equal(ws.extensions, '');
  await talk({ ws, inbox });
  ws.close();
  await inbox.closed;
}

async function withTheirServer(talk, flags = [], options = {}, status = 0) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 16 << 20, ...options });
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${server.address().port}/echo`;
  const child = spawn(program, ['client', url, '--commands', ...flags], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  if (status === 0) {
    const [ws] = await once(server, 'connection');
    const inbox = new Inbox(ws);
    await talk({ ws, inbox });
    ws.close();
    await inbox.closed;
  }
  assert.equal((await ended)[0], status);
  server.close();
}

async function main() {
  const server = await echoServer();
  for (const [name, talk] of Object.entries(talks)) {
    await run(`their client: ${name}`, () => withTheirClient(server.port, talk));
    await run(`their server: ${name}`, () => withTheirServer(talk));
  }
  const chosen = async ({ ws }) => assert.equal(ws.protocol, 'smartvpn.v1');
  await run('their client: subprotocol', () => withTheirClient(server.port, chosen, '/echo', ['chat', 'smartvpn.v1']));
  await run('their client: other path', () => assert.rejects(withTheirClient(server.port, chosen, '/other'), /404/));
  server.stop();
  await run('their server: subprotocol', () => withTheirServer(chosen, ['--require-subprotocol']));
  await run('their server: no subprotocol chosen', () =>
    withTheirServer(chosen, ['--require-subprotocol'], { handleProtocols: () => false }, 2));
  await run('their server: compression offered to nobody', () =>
    withTheirServer(talks.sizes, [], { perMessageDeflate: true }));

  const failed = cases.filter((c) => c.failure).length;
  console.log(`ws.npm_ws: ${cases.length} cases, ${failed} failed`);
  if (resultsFile) writeFileSync(resultsFile, toXml(failed));
  process.exit(failed || !cases.length ? 1 : 0);
}

function toXml(failed) {
  const quote = (text) =>
    text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[\x00-\x09\x0b-\x1f]/g, '');
  const lines = cases.map(({ name, failure }) => {
    const head = `<testcase classname="ws.npm_ws" name="${quote(name)}" status="run"`;
    return failure ? `${head}><failure message="${quote(failure)}"/></testcase>` : `${head}/>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name="ws.npm_ws" tests="${cases.length}"` +
    ` failures="${failed}">\n${lines.join('\n')}\n</testsuite>\n</testsuites>\n`;
}

await main();
