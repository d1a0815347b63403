/** HTTP/2 by programs that people use: gRPC, curl, undici. */
import { execFile, spawnSync } from 'node:child_process'
import { createSecureServer } from 'node:http2'
import { promisify } from 'node:util'

import { credentials, makeClientConstructor, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { Client, ServiceDefinition, ServiceError, UntypedServiceImplementation } from '@grpc/grpc-js'
import { fetch, ProxyAgent } from 'undici'
import { afterEach, describe, expect, it, vi } from 'vitest'

import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { TestServer } from './testing/servers.ts'

const HOST = 'two.test'
const text = {
  serialize: (value: string): Buffer => Buffer.from(value),
  deserialize: (octets: Buffer): string => octets.toString(),
}

/** A method that takes and gives texts. */
function method(name: string, requestStream: boolean, responseStream: boolean): ServiceDefinition[string] {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  }
}

const ECHO: ServiceDefinition = {
  unary: method('Unary', false, false),
  fail: method('Fail', false, false),
  count: method('Count', false, true),
  join: method('Join', true, false),
  chat: method('Chat', true, true),
  hang: method('Hang', false, false),
}

// The types of this library know nothing of services that are made by hand.
type Call = {
  request: string
  write(value: string): void
  end(): void
  on(event: string, listener: (value: string) => void): void
}
type Callback = (error: Partial<ServiceError> | null, value?: string, trailer?: Metadata) => void

const IMPLEMENTATION = {
  unary: ({ request }: Call, done: Callback) => {
    const trailer = new Metadata()
    trailer.set('x-trailer', 'yes')
    done(null, request.toUpperCase(), trailer)
  },
  fail: (_: Call, done: Callback) => done({ code: status.NOT_FOUND, details: 'nothing of that name' }),
  count: (call: Call) => {
    for (const value of ['one', 'two', 'three']) call.write(value)
    call.end()
  },
  join: (call: Call, done: Callback) => {
    const heard: string[] = []
    call.on('data', (value) => heard.push(value))
    call.on('end', () => done(null, heard.join('+')))
  },
  chat: (call: Call) => {
    call.on('data', (value) => call.write(`re: ${value}`))
    call.on('end', () => call.end())
  },
  hang: () => undefined,
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const cleanUp of cleanups.splice(0).toReversed()) await cleanUp()
})

/** What a client of the service can do. */
interface EchoClient extends Client {
  unary(value: string, done: (error: ServiceError | null, value?: string) => void): void
  fail(value: string, done: (error: ServiceError | null) => void): void
  hang(
    value: string,
    metadata: Metadata,
    options: { deadline: number },
    done: (error: ServiceError | null) => void,
  ): void
  count(value: string): AsyncIterable<string>
  join(done: (error: ServiceError | null, value?: string) => void): { write(value: string): void; end(): void }
  chat(): AsyncIterable<string> & { write(value: string): void; end(): void }
}

/** A gRPC service behind a mitm, and a client of it. */
async function grpc(prepare: (mitm: TestMitm) => void): Promise<{ mitm: TestMitm; client: EchoClient }> {
  const identity = await identityFor(HOST)
  const server = new Server()
  // Boundary: handlers made by hand are not typed by a .proto file.
  server.addService(ECHO, IMPLEMENTATION as unknown as UntypedServiceImplementation)
  const keys = [{ private_key: Buffer.from(identity.key), cert_chain: Buffer.from(identity.cert) }]
  const port = await promisify<string, ServerCredentials, number>(server.bindAsync.bind(server))(
    '127.0.0.1:0',
    ServerCredentials.createSsl(null, keys),
  )
  cleanups.push(() => server.forceShutdown())
  const { certificate: ca } = await originAuthority()
  const mitm = await startMitm({ hosts: { [HOST]: `127.0.0.1:${port}` }, upstream: { ca } })
  cleanups.push(() => mitm.close())
  prepare(mitm)
  vi.stubEnv('grpc_proxy', mitm.url)
  const { certificate } = await mitm.certificateAuthority()
  const Echo = makeClientConstructor(ECHO, 'Echo')
  // Boundary: as above.
  const client = new Echo(`${HOST}:443`, credentials.createSsl(Buffer.from(certificate))) as unknown as EchoClient
  cleanups.push(() => client.close())
  return { mitm, client }
}

async function all(values: AsyncIterable<string>): Promise<string[]> {
  const heard: string[] = []
  for await (const value of values) heard.push(value)
  return heard
}

describe.each<[string, (mitm: TestMitm) => void]>([
  ['relayed', (): void => undefined],
  ['bridged', (mitm) => void mitm.get(`https://${HOST}/elsewhere`).rewriteResponse({ status: 418 })],
  ['bridged, its server asked late', (mitm) => void mitm.get(`https://${HOST}/elsewhere`).json({})],
])('gRPC, %s', (_, prepare) => {
  it('calls once, with trailers', async () => {
    const { mitm, client } = await grpc(prepare)
    const value = await new Promise((resolve, reject) => {
      client.unary('hello', (error, answer) => (error ? reject(error) : resolve(answer)))
    })
    expect(value).toBe('HELLO')
    const exchange = await mitm.waitForResponse({ method: 'POST', url: `https://${HOST}/test.Echo/Unary` })
    await expect.poll(() => exchange.endReason).toBe('complete')
    expect(exchange.request.httpVersion).toBe('HTTP/2')
    expect(Object.fromEntries(exchange.response?.trailers ?? [])).toMatchObject({
      'grpc-status': '0',
      'x-trailer': 'yes',
    })
    expect(exchange.request.header('te')).toBe('trailers')
  })

  it('tells of errors, and of deadlines', async () => {
    const { mitm, client } = await grpc(prepare)
    const error = await new Promise<ServiceError | null>((resolve) => client.fail('x', resolve))
    expect(error).toMatchObject({ code: status.NOT_FOUND, details: 'nothing of that name' })
    const late = await new Promise<ServiceError | null>((resolve) => {
      client.hang('x', new Metadata(), { deadline: Date.now() + 200 }, resolve)
    })
    expect(late?.code).toBe(status.DEADLINE_EXCEEDED)
    const [exchange] = mitm.requests(`https://${HOST}/test.Echo/Hang`)
    await expect.poll(() => exchange?.endReason).toBe('client-reset')
    expect(exchange?.http2?.resetName).toBe('CANCEL')
  })

  it('streams either way, and both ways', async () => {
    const { client } = await grpc(prepare)
    expect(await all(client.count('x'))).toEqual(['one', 'two', 'three'])
    const joined = await new Promise((resolve, reject) => {
      const call = client.join((error, value) => (error ? reject(error) : resolve(value)))
      for (const value of ['a', 'b', 'c']) call.write(value)
      call.end()
    })
    expect(joined).toBe('a+b+c')
    const chat = client.chat()
    chat.write('one')
    const heard: string[] = []
    for await (const value of chat) {
      heard.push(value)
      // Each is answered before the next one is sent.
      if (heard.length === 2) chat.end()
      else chat.write('two')
    }
    expect(heard).toEqual(['re: one', 're: two'])
  })
})

it('gRPC is answered by a rule, with trailers', async () => {
  const { client } = await grpc((mitm) => {
    mitm.post(`https://${HOST}/test.Echo/Unary`).respond({
      status: 200,
      headers: { 'content-type': 'application/grpc' },
      body: Buffer.concat([Buffer.from([0, 0, 0, 0, 6]), Buffer.from('mocked')]),
      trailers: { 'grpc-status': '0' },
    })
  })
  const value = await new Promise((resolve, reject) => {
    client.unary('hello', (error, answer) => (error ? reject(error) : resolve(answer)))
  })
  expect(value).toBe('mocked')
})

/** A server of HTTP/2 and HTTP/1.1 behind a mitm. */
async function setUp(): Promise<TestMitm> {
  const identity = await identityFor(HOST)
  const secure = createSecureServer({ ...identity, allowHTTP1: true }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const size = Buffer.concat(chunks).length
      response.end(`${request.httpVersion} ${request.method} ${request.url} ${size}`)
    })
  })
  secure.on('sessionError', () => undefined)
  const server = await new TestServer(secure).listen()
  const { certificate: ca } = await originAuthority()
  const mitm = await startMitm({ hosts: { [HOST]: server.authority }, upstream: { ca } })
  cleanups.push(
    () => server[Symbol.asyncDispose](),
    () => mitm.close(),
  )
  return mitm
}

const touch = (mitm: TestMitm, mode: string): void => {
  if (mode === 'bridged') mitm.get(`https://${HOST}/elsewhere`).json({})
}

describe.each(['relayed', 'bridged'])('undici, %s', (mode) => {
  it('speaks HTTP/2 through CONNECT', async () => {
    const mitm = await setUp()
    touch(mitm, mode)
    const { certificate } = await mitm.certificateAuthority()
    const dispatcher = new ProxyAgent({ uri: mitm.url, allowH2: true, requestTls: { ca: certificate, allowH2: true } })
    cleanups.push(() => dispatcher.destroy())
    const get = await fetch(`https://${HOST}/a`, { dispatcher })
    const post = await fetch(`https://${HOST}/b`, { dispatcher, method: 'POST', body: 'x'.repeat(200_000) })
    expect([await get.text(), await post.text()]).toEqual(['2.0 GET /a 0', '2.0 POST /b 200000'])
    expect(mitm.exchanges.map(({ request }) => request.httpVersion)).toEqual(['HTTP/2', 'HTTP/2'])
  })
})

// Without curl there is no output.
const hasCurl = `${spawnSync('curl', ['--version']).stdout ?? ''}`.includes('HTTP2')

describe.skipIf(!hasCurl).each(['relayed', 'bridged'])('curl with HTTP/2, %s', (mode) => {
  it.each([
    ['CONNECT', 'HTTP/2', (mitm: TestMitm) => ['--proxy', mitm.url]],
    ['CONNECT', 'HTTP/1.1', (mitm: TestMitm) => ['--http1.1', '--proxy', mitm.url]],
    ['SOCKS5', 'HTTP/2', (mitm: TestMitm) => ['--socks5-hostname', `127.0.0.1:${mitm.port}`]],
  ])('by %s speaks %s', async (_, version, door) => {
    const mitm = await setUp()
    touch(mitm, mode)
    const run = (...words: readonly string[]): Promise<{ stdout: string }> =>
      promisify(execFile)('curl', ['-sS', '--fail', ...door(mitm), ...words], {
        env: { PATH: process.env['PATH'], CURL_CA_BUNDLE: mitm.env()['SSL_CERT_FILE'] },
      })
    const shown = version === 'HTTP/2' ? '2.0' : '1.1'
    expect((await run(`https://${HOST}/a`)).stdout).toBe(`${shown} GET /a 0`)
    expect((await run('--data-binary', 'x'.repeat(100_000), `https://${HOST}/b`)).stdout).toBe(
      `${shown} POST /b 100000`,
    )
    expect(mitm.exchanges.map(({ request }) => request.httpVersion)).toEqual([version, version])
    expect(mitm.exchanges.every(({ endReason }) => endReason === 'complete')).toBe(true)
  })
})
