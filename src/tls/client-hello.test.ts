import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { isMitmError } from '../errors.ts'
import { looksLikeTls, readClientHello } from './client-hello.ts'

const MALFORMED = expect.objectContaining({ code: 'MITM_MALFORMED_TLS', side: 'client' })

/** What a real client sends first. */
async function captureHello(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The server has no address')
  const client = connect({ host: '127.0.0.1', port: address.port, ...options }).on('error', () => {})
  const captured = await new Promise<Buffer>((resolve) => {
    server.once('connection', (socket) => {
      const chunks: Buffer[] = []
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        chunks.push(chunk)
        const octets = Buffer.concat(chunks)
        if (octets.length < 5 || octets.length < 5 + octets.readUInt16BE(3)) return
        socket.destroy()
        resolve(octets)
      })
    })
  })
  client.destroy()
  server.close()
  await once(server, 'close')
  return captured
}

function vector(lengthOctets: 1 | 2 | 3, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const length = Buffer.alloc(lengthOctets)
  length.writeUIntBE(content.length, 0, lengthOctets)
  return Buffer.concat([length, content])
}

function extension(type: number, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, ...parts)])
}

/** A handshake message with a hello in it. `extensions` undefined leaves the whole vector out. */
function message(extensions: readonly Buffer[] | undefined, after: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    extensions ? vector(2, ...extensions) : Buffer.alloc(0),
    after,
  ])
  return Buffer.concat([Buffer.from([1]), vector(3, body)])
}

function record(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, content)])
}

/** `octets` in records of at most `size`. */
function records(octets: Buffer, size: number): Buffer {
  const cut: Buffer[] = []
  for (let at = 0; at < octets.length; at += size) cut.push(record(octets.subarray(at, at + size)))
  return Buffer.concat(cut)
}

test('looksLikeTls() takes a handshake record, from its first octet on', () => {
  expect(looksLikeTls(Buffer.from([0x16]))).toBe(true)
  expect(looksLikeTls(Buffer.from([0x16, 0x03, 0x01]))).toBe(true)
  expect(looksLikeTls(Buffer.alloc(0))).toBe(false)
  expect(looksLikeTls(Buffer.from([0x16, 0x02]))).toBe(false)
  expect(looksLikeTls(Buffer.from('GET / HTTP/1.1'))).toBe(false)
})

test('readClientHello() reads what Node sends', async () => {
  const octets = await captureHello({ servername: 'pay.test', ALPNProtocols: ['h2', 'http/1.1'] })
  expect(readClientHello(octets)).toEqual({
    serverName: 'pay.test',
    alpnProtocols: ['h2', 'http/1.1'],
    versions: ['TLSv1.3', 'TLSv1.2'],
    isGreased: false,
  })
})

test('readClientHello() reads a hello without a name, without ALPN and for TLS 1.2 only', async () => {
  const octets = await captureHello({ maxVersion: 'TLSv1.2' })
  expect(readClientHello(octets)).toEqual({
    serverName: undefined,
    alpnProtocols: [],
    versions: ['TLSv1.2'],
    isGreased: false,
  })
})

test('readClientHello() wants more at every cut of a hello, and ignores what follows it', async () => {
  const octets = await captureHello({ servername: 'pay.test', ALPNProtocols: ['h2'] })
  for (let end = 0; end < octets.length; end++) expect(readClientHello(octets.subarray(0, end))).toBe('incomplete')
  const followed = Buffer.concat([octets, Buffer.from('anything')])
  expect(readClientHello(followed)).toEqual(readClientHello(octets))
})

test('readClientHello() joins a hello that is spread over records of any size', async () => {
  const octets = await captureHello({ servername: 'pay.test', ALPNProtocols: ['h2'] })
  const whole = octets.subarray(5)
  for (const size of [1, 2, 3, 5, 100, whole.length]) {
    const spread = records(whole, size)
    expect(readClientHello(spread)).toMatchObject({ serverName: 'pay.test', alpnProtocols: ['h2'] })
    for (let end = 0; end < spread.length; end++) expect(readClientHello(spread.subarray(0, end))).toBe('incomplete')
  }
})

test('readClientHello() reads a hello without extensions, as TLS 1.2 allows', () => {
  const bare = { serverName: undefined, alpnProtocols: [], versions: ['TLSv1.2'], isGreased: false }
  expect(readClientHello(record(message(undefined)))).toEqual(bare)
  expect(readClientHello(record(message([])))).toEqual(bare)
})

test('readClientHello() leaves out versions it does not know, such as the GREASE of Chromium', () => {
  const versions = extension(43, vector(1, Buffer.from([0x2a, 0x2a, 0x03, 0x04, 0x03, 0x01])))
  expect(readClientHello(record(message([extension(0x1a1a), versions])))).toMatchObject({
    versions: ['TLSv1.3', 'TLSv1'],
  })
})

test('readClientHello() passes over server names of other types', () => {
  const names = vector(
    2,
    Buffer.from([9]),
    vector(2, Buffer.from('x')),
    Buffer.from([0]),
    vector(2, Buffer.from('a.b')),
  )
  expect(readClientHello(record(message([extension(0, names)])))).toMatchObject({ serverName: 'a.b' })
})

const malformed: Readonly<Record<string, Buffer>> = {
  'plain HTTP': Buffer.from('GET / HTTP/1.1\r\n'),
  'an alert record': Buffer.from([21, 3, 1, 0, 2, 2, 40]),
  'an SSL 2 hello': Buffer.from([0x80, 0x2e, 1, 3, 0]),
  'a record of version 2': Buffer.from([22, 2]),
  'an empty record': record(Buffer.alloc(0)),
  'a record that is too long': Buffer.from([22, 3, 1, 0x40, 0x01]),
  'a ServerHello': record(Buffer.from([2, 0, 0, 1, 0])),
  'an alert between two records': Buffer.concat([record(message([]).subarray(0, 9)), Buffer.from([21])]),
  'a hello that says it is longer than 64 KiB': record(Buffer.from([1, 1, 0, 1])),
  'an empty body': record(Buffer.from([1, 0, 0, 0])),
  'octets after the extensions': record(message([], Buffer.from([0]))),
  'an extension that ends too early': record(message([Buffer.from([0, 0, 0, 9, 0])])),
  'an extension that comes twice': record(message([extension(23), extension(23)])),
  'an empty server name': record(message([extension(0, vector(2, Buffer.from([0, 0, 0])))])),
  'an empty ALPN protocol': record(message([extension(16, vector(2, Buffer.from([0])))])),
  'half a version': record(message([extension(43, vector(1, Buffer.from([3])))])),
}

test.for(Object.entries(malformed))('readClientHello() refuses %s', ([, octets]) => {
  expect(() => readClientHello(octets)).toThrow(MALFORMED)
})

test('readClientHello() gives up on a hello that is not complete within 64 KiB', () => {
  const endless = records(Buffer.concat([Buffer.from([1, 0, 0xff, 0xff]), Buffer.alloc(65_535)]), 2 ** 14)
  expect(readClientHello(endless.subarray(0, 65_535))).toBe('incomplete')
  expect(() => readClientHello(endless)).toThrow(MALFORMED)
  expect(() => readClientHello(endless.subarray(0, 65_536))).toThrow(MALFORMED)
})

test('readClientHello() throws nothing but MitmErrors, whatever it is given', () => {
  const header = fc.constantFrom(Buffer.alloc(0), Buffer.from([22, 3, 1]), Buffer.from([22, 3, 1, 0, 60, 1, 0, 0, 50]))
  const body = message([extension(0, vector(2, Buffer.from([0]), vector(2, Buffer.from('a.b')))), extension(16)])
  const changed = fc.tuple(fc.nat(body.length - 1), fc.nat(255)).map(([at, value]) => {
    const copy = Buffer.from(body)
    copy[at] = value
    return record(copy)
  })
  const random = fc.tuple(header, fc.uint8Array({ maxLength: 200 })).map((parts) => Buffer.concat(parts))
  fc.assert(
    fc.property(fc.oneof(random, changed), (octets) => {
      try {
        const hello = readClientHello(octets)
        return hello === 'incomplete' || Array.isArray(hello.alpnProtocols)
      } catch (error) {
        return isMitmError(error) && error.code === 'MITM_MALFORMED_TLS'
      }
    }),
    { numRuns: 2000 },
  )
})

test('readClientHello() tells a client that offers what means nothing', () => {
  const octets = record(message([]))
  expect(readClientHello(octets)).toMatchObject({ isGreased: false })
  octets.writeUInt16BE(0x3a3a, octets.indexOf(Buffer.from([0x13, 0x01])))
  expect(readClientHello(octets)).toMatchObject({ isGreased: true })
})
