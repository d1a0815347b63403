/** Frames and field blocks as another implementation (nghttp2, in Node) writes and reads them. */
import { once } from 'node:events'
import { connect as connectHttp2, createServer } from 'node:http2'
import type { Http2Server, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { connect, createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'

import type { Field } from '../../exchange.ts'
import { FrameParser } from './frame-parse.ts'
import { writeData, writeHeaders, writeSettings } from './frame-write.ts'
import { FLAG, FRAME, PREFACE } from './frame.ts'
import { HpackDecoder } from './hpack-decode.ts'
import { writeFieldBlock } from './hpack-encode.ts'

let server: Http2Server
let tap: Server
/** What passed the tap in each direction. */
let passed: { toServer: Buffer[]; toClient: Buffer[] }

function portOf(listening: Server | Http2Server): number {
  return (listening.address() as AddressInfo).port
}

beforeEach(async () => {
  passed = { toServer: [], toClient: [] }
  server = createServer({ settings: { headerTableSize: 16_384 } })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  tap = createTcpServer((client) => {
    const upstream = connect(portOf(server), '127.0.0.1')
    client.on('data', (octets: Buffer) => passed.toServer.push(octets)).pipe(upstream)
    upstream.on('data', (octets: Buffer) => passed.toClient.push(octets)).pipe(client)
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
  })
  tap.listen(0, '127.0.0.1')
  await once(tap, 'listening')
})

afterEach(async () => {
  await Promise.all([server, tap].map((each) => new Promise((resolve) => each.close(resolve))))
})

/** The field sections in what one side sent. */
function sections(octets: Buffer, maxTableBytes: number): Field[][] {
  const parser = new FrameParser()
  const decoder = new HpackDecoder(1024 * 1024)
  decoder.maxTableBytes = maxTableBytes
  const found: Field[][] = []
  let block: Buffer[] = []
  parser.push(octets)
  while (parser.next()) {
    if (parser.type !== FRAME.headers && parser.type !== FRAME.continuation) continue
    // nghttp2 writes a priority before blocks with the flag for it.
    const skipped = parser.type === FRAME.headers && (parser.flags & FLAG.priority) !== 0 ? 5 : 0
    block.push(parser.octets.subarray(parser.start + skipped, parser.end))
    if ((parser.flags & FLAG.endHeaders) === 0) continue
    found.push(decoder.decode(Buffer.concat(block)) ?? [])
    block = []
  }
  expect(parser.problem).toBeUndefined()
  expect(decoder.problem).toBeUndefined()
  return found
}

const name = fc.stringMatching(/^x-[a-z0-9]{1,12}$/)
const value = fc
  .string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 60 })
  .filter((text) => text === text.trim() && !text.includes('\x7f'))
const fields = fc.dictionary(name, value, { maxKeys: 12 })

test('decodes what a real client and a real server send, on one connection', async () => {
  server.on('stream', (stream, headers) => {
    const answer = Object.entries(headers).filter(([each]) => each.startsWith('x-'))
    stream.respond({ ':status': 200, ...Object.fromEntries(answer) }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'yes', ...Object.fromEntries(answer) }))
    stream.end('body')
  })
  const client = connectHttp2(`http://127.0.0.1:${portOf(tap)}`)
  const sent: Record<string, string>[] = []
  await fc.assert(
    fc.asyncProperty(fields, async (headers) => {
      sent.push(headers)
      const request = client.request({ ':path': `/${sent.length}`, ...headers })
      request.resume()
      await once(request, 'end')
    }),
    { numRuns: 150 },
  )
  await new Promise<void>((resolve) => client.close(resolve))

  const requests = sections(Buffer.concat(passed.toServer).subarray(PREFACE.length), 16_384)
  expect(requests).toHaveLength(sent.length)
  for (const [at, section] of requests.entries()) {
    const own = Object.fromEntries(section.filter(([each]) => each.startsWith('x-')))
    expect(own).toEqual({ ...sent[at] })
    expect(section).toContainEqual([':path', `/${at + 1}`])
    expect(section).toContainEqual([':method', 'GET'])
  }
  const responses = sections(Buffer.concat(passed.toClient), 4096)
  expect(responses).toHaveLength(sent.length * 2)
  for (const [at, section] of responses.entries()) {
    const isTrailer = at % 2 === 1
    const own = section.filter(([each]) => each.startsWith('x-') && each !== 'x-trailer')
    // Responses come in the order of the requests, as each was waited for.
    expect(Object.fromEntries(own)).toEqual({ ...sent[at >> 1] })
    expect(section.some(([each]) => each === (isTrailer ? 'x-trailer' : ':status'))).toBe(true)
  }
})

test('a field block of several frames, as a real client sends it', async () => {
  server.on('stream', (stream) => {
    stream.respond({ ':status': 204 })
    stream.end()
  })
  const client = connectHttp2(`http://127.0.0.1:${portOf(tap)}`)
  const large = 'ü'.repeat(30_000)
  const request = client.request({ ':path': '/', 'x-large': large })
  request.resume()
  await once(request, 'end')
  await new Promise<void>((resolve) => client.close(resolve))
  const [section] = sections(Buffer.concat(passed.toServer).subarray(PREFACE.length), 16_384)
  expect(section).toContainEqual(['x-large', large])
})

test('a real server reads what is written here', async () => {
  const got: { headers: IncomingHttpHeaders; body: string; trailers: IncomingHttpHeaders }[] = []
  const answered = new Promise<void>((resolve) => {
    server.on('stream', (stream, headers) => {
      let body = ''
      let trailers: IncomingHttpHeaders = {}
      stream.setEncoding('latin1')
      stream.on('data', (text: string) => (body += text))
      stream.on('trailers', (each) => (trailers = each))
      stream.on('end', () => {
        got.push({ headers, body, trailers })
        stream.respond({ ':status': 204 } satisfies OutgoingHttpHeaders)
        stream.end()
        resolve()
      })
    })
  })
  const socket = connect(portOf(server), '127.0.0.1')
  const head: Field[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/charge'],
    [':authority', 'pay.test'],
    ['x-long', 'y'.repeat(300)],
  ]
  socket.write(PREFACE)
  socket.write(writeSettings([[4, 65_535]]))
  socket.write(writeHeaders(1, writeFieldBlock(head), { maxFrameBytes: 100 }))
  socket.write(writeData(1, Buffer.from('one '), { padding: 20 }))
  socket.write(writeData(1, Buffer.from('two')))
  socket.write(writeHeaders(1, writeFieldBlock([['x-end', 'z']], { emptiesTable: true }), { endStream: true }))
  await answered
  socket.destroy()
  expect(got).toMatchObject([
    {
      headers: { ':method': 'POST', ':path': '/charge', ':authority': 'pay.test', 'x-long': 'y'.repeat(300) },
      body: 'one two',
      trailers: { 'x-end': 'z' },
    },
  ])
})
