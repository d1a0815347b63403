import { once } from 'node:events'
import net from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import tls from 'node:tls'

import { generate } from 'selfsigned'
import { afterEach, expect, test } from 'vitest'

import { readChunk } from './read-chunk.ts'

const opened: (net.Socket | net.Server)[] = []

afterEach(() => {
  for (const one of opened.splice(0)) {
    if (one instanceof net.Server) one.close()
    else one.destroy()
  }
})

/** Two ends of one connection over loopback. */
async function socketPair(options: net.ServerOpts = {}): Promise<{ client: net.Socket; server: net.Socket }> {
  const listener = net.createServer(options).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as net.AddressInfo
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [server] = (await once(listener, 'connection')) as [net.Socket]
  opened.push(client, server, listener)
  return { client, server }
}

function ourListeners(reader: Readable): number[] {
  return ['readable', 'data', 'end', 'error', 'close'].map((name) => reader.listenerCount(name))
}

async function bufferedBy(reader: Readable, octets: number): Promise<void> {
  while (reader.readableLength < octets) await new Promise((resolve) => setImmediate(resolve))
}

test('readChunk() gives what was written in two writes, piece by piece or at once, with no byte lost', async () => {
  const { client, server } = await socketPair()
  const before = ourListeners(server)
  client.write('hello ')
  const first = await readChunk(server)
  client.write('world')
  const second = await readChunk(server)
  expect(`${first.toString()}|${second.toString()}`).toBe('hello |world')
  expect(ourListeners(server)).toEqual(before)
  expect(server.readableFlowing).not.toBe(true)
})

test('readChunk() gives all that is buffered', async () => {
  const { client, server } = await socketPair()
  client.write('one ')
  await bufferedBy(server, 4)
  client.write('two')
  await bufferedBy(server, 7)
  expect(String(await readChunk(server))).toBe('one two')
})

test('data that comes between two readChunk() calls stays for the second', async () => {
  const { client, server } = await socketPair()
  client.write('a')
  expect(String(await readChunk(server))).toBe('a')
  client.end('between')
  await bufferedBy(server, 7)
  expect(String(await readChunk(server))).toBe('between')
  expect(await readChunk(server)).toBe('end')
})

test('readChunk() says end again and again, also when the end was emitted before', async () => {
  const { client, server } = await socketPair({ allowHalfOpen: true })
  const ended = once(server, 'end')
  client.end()
  server.resume()
  await ended
  expect(await readChunk(server)).toBe('end')
  expect(await readChunk(server)).toBe('end')
})

test('readChunk() says end of a socket that closed itself after a clean end', async () => {
  const { client, server } = await socketPair()
  const closed = once(server, 'close')
  client.resume().end('bye')
  expect(String(await readChunk(server))).toBe('bye')
  expect(await readChunk(server)).toBe('end')
  await closed
  expect(server.destroyed).toBe(true)
  expect(await readChunk(server)).toBe('end')
})

test('a half-open socket can still be written to after readChunk() has said end', async () => {
  const { client, server } = await socketPair({ allowHalfOpen: true })
  client.end()
  expect(await readChunk(server)).toBe('end')
  server.end('late answer')
  expect(String(await readChunk(client))).toBe('late answer')
})

test('readChunk() says timeout when nothing comes, and the next one gets what comes later', async () => {
  const { client, server } = await socketPair()
  const before = ourListeners(server)
  expect(await readChunk(server, { timeoutMs: 5 })).toBe('timeout')
  expect(ourListeners(server)).toEqual(before)
  client.write('later')
  expect(String(await readChunk(server, { timeoutMs: 10_000 }))).toBe('later')
})

test('readChunk() rejects with the reason of an abort, before and while waiting, and eats nothing', async () => {
  const { client, server } = await socketPair()
  const before = ourListeners(server)
  const abort = new AbortController()
  const waiting = readChunk(server, { signal: abort.signal })
  abort.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  expect(ourListeners(server)).toEqual(before)
  client.write('kept')
  await bufferedBy(server, 4)
  await expect(readChunk(server, { signal: abort.signal })).rejects.toThrow('enough')
  expect(String(await readChunk(server))).toBe('kept')
})

test('readChunk() rejects with ECONNRESET on a reset, while waiting and afterwards', async () => {
  const { client, server } = await socketPair()
  client.write('x')
  expect(String(await readChunk(server))).toBe('x')
  const waiting = readChunk(server)
  client.resetAndDestroy()
  await expect(waiting).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(readChunk(server)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('bytes that came before a reset are given before the error', async () => {
  const { client, server } = await socketPair()
  const failed = new Promise((resolve) => server.once('error', resolve))
  client.write('last words')
  await bufferedBy(server, 10)
  client.resetAndDestroy()
  await failed
  expect(String(await readChunk(server))).toBe('last words')
  await expect(readChunk(server)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('readChunk() rejects with ECONNRESET when the stream is destroyed without an error', async () => {
  const { server } = await socketPair()
  const waiting = readChunk(server)
  server.destroy()
  await expect(waiting).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(readChunk(server)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('readChunk() rejects with the error that a stream was destroyed with', async () => {
  const stream = new PassThrough()
  const waiting = readChunk(stream)
  stream.destroy(new Error('broken'))
  await expect(waiting).rejects.toThrow('broken')
  await expect(readChunk(stream)).rejects.toThrow('broken')
})

test("a 'data' listener starts the stream after readChunk()", async () => {
  const { client, server } = await socketPair()
  client.write('a')
  const chunk = await readChunk(server)
  if (typeof chunk === 'string') throw new Error(chunk)
  server.unshift(chunk)
  client.end('bc')
  let text = ''
  server.on('data', (data: Buffer) => (text += data.toString()))
  await once(server, 'end')
  expect(text).toBe('abc')
})

test('bytes that came together with the end can be put back, and the end follows them', async () => {
  for (const size of [3, 300_000]) {
    const { client, server } = await socketPair({ allowHalfOpen: true })
    client.end(Buffer.alloc(size, 'x'))
    let total = 0
    while (total < size) {
      await bufferedBy(server, Math.min(size - total, server.readableHighWaterMark))
      // Long enough for the end to be there too, when all bytes are.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      const chunk = await readChunk(server)
      if (typeof chunk === 'string') throw new Error(chunk)
      total += chunk.length
      server.unshift(chunk)
      expect(await readChunk(server)).toEqual(chunk)
    }
    expect(total).toBe(size)
    expect(await readChunk(server)).toBe('end')
  }
})

test('bytes and end that come at once while readChunk() waits can be put back', async () => {
  const reader = new Readable({ read() {} })
  const waiting = readChunk(reader)
  setImmediate(() => {
    reader.push('all')
    reader.push(null)
  })
  const chunk = await waiting
  reader.unshift(chunk)
  expect(String(await readChunk(reader))).toBe('all')
  expect(await readChunk(reader)).toBe('end')
})

test('buffered bytes and end that are read from an event can be put back', async () => {
  const reader = new PassThrough()
  reader.end('all')
  await new Promise<void>((resolve, reject) => {
    setImmediate(() => {
      readChunk(reader)
        .then((chunk) => reader.unshift(chunk))
        .then(() => resolve(), reject)
    })
  })
  expect(String(await readChunk(reader))).toBe('all')
  expect(await readChunk(reader)).toBe('end')
})

test('readChunk() takes one helping of an endless stream and leaves its high-water mark alone', async () => {
  const stream = new Readable({
    highWaterMark: 1000,
    read() {
      this.push(Buffer.alloc(1700))
    },
  })
  for (let helping = 0; helping < 5; helping++) expect((await readChunk(stream)).length).toBeLessThan(10_000)
  expect(stream.readableHighWaterMark).toBe(1000)
})

test('a pause() right after readChunk() holds', async () => {
  const { client, server } = await socketPair()
  client.write('a')
  await readChunk(server)
  server.pause()
  await new Promise((resolve) => setImmediate(resolve))
  expect(server.readableFlowing).toBe(false)
})

test('a stream can be piped after readChunk(), also from inside an abort', async () => {
  const { client, server } = await socketPair()
  const abort = new AbortController()
  const waiting = readChunk(server, { signal: abort.signal }).catch(() => server.pipe(server))
  abort.abort()
  await waiting
  client.write('echo')
  expect(String(await readChunk(client))).toBe('echo')
})

test('readChunk() works on a socket that was accepted paused', async () => {
  const { client, server } = await socketPair({ pauseOnConnect: true })
  client.write('paused')
  expect(String(await readChunk(server))).toBe('paused')
})

test('megabytes read by readChunk() arrive whole', async () => {
  const { client, server } = await socketPair()
  const sent = Buffer.alloc(5_000_003)
  for (let at = 0; at < sent.length; at++) sent[at] = (at * 31 + (at >> 8)) & 0xff
  client.end(sent)
  const received: Buffer[] = []
  for (let chunk = await readChunk(server); typeof chunk !== 'string'; chunk = await readChunk(server)) {
    expect(chunk.length).toBeGreaterThan(0)
    received.push(chunk)
  }
  expect(Buffer.concat(received).equals(sent)).toBe(true)
})

test('text from a stream with an encoding comes back as its octets', async () => {
  const stream = new PassThrough().setEncoding('latin1')
  stream.write(Buffer.from([0xe4, 0x00, 0xff]))
  expect(await readChunk(stream)).toEqual(Buffer.from([0xe4, 0x00, 0xff]))
})

test('a socket goes on as TLS when the hello that was read is put back', async () => {
  const certificate = await generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    keyType: 'ec',
  })
  for (const reads of [1, 2]) {
    const { client, server } = await socketPair({ allowHalfOpen: true })
    const secureClient = tls.connect({
      socket: client,
      ca: certificate.cert,
      servername: 'localhost',
      rejectUnauthorized: false,
    })
    opened.push(secureClient)
    for (let left = reads; left > 0; left--) {
      const hello = await readChunk(server, { timeoutMs: 10_000 })
      if (typeof hello === 'string') throw new Error(hello)
      expect(hello[0]).toBe(0x16)
      server.unshift(hello)
    }
    const secureServer = new tls.TLSSocket(server, { isServer: true, cert: certificate.cert, key: certificate.private })
    opened.push(secureServer)
    await once(secureClient, 'secureConnect')
    secureClient.write('secret')
    expect(String(await readChunk(secureServer))).toBe('secret')
    secureServer.end('reply')
    expect(String(await readChunk(secureClient))).toBe('reply')
    expect(await readChunk(secureClient)).toBe('end')
  }
})

test('a hello of which half came before readChunk() and half afterwards still makes a TLS handshake', async () => {
  const certificate = await generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    keyType: 'ec',
  })
  const outer = await socketPair()
  const { client, server } = await socketPair()
  const secureClient = tls.connect({ socket: outer.client, rejectUnauthorized: false })
  opened.push(secureClient)
  client.pipe(outer.server)
  const hello = await readChunk(outer.server)
  if (typeof hello === 'string') throw new Error(hello)
  client.write(hello.subarray(0, 40))
  const half = await readChunk(server)
  if (typeof half === 'string') throw new Error(half)
  expect(half.length).toBe(40)
  client.write(hello.subarray(40))
  await bufferedBy(server, hello.length - 40)
  server.unshift(half)
  outer.server.pipe(client)
  const secureServer = new tls.TLSSocket(server, { isServer: true, cert: certificate.cert, key: certificate.private })
  opened.push(secureServer)
  await once(secureClient, 'secureConnect')
  secureServer.write('through')
  expect(String(await readChunk(secureClient))).toBe('through')
})
