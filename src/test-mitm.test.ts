import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import { closedPort, httpServer, wireServer } from './testing/servers.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { connectTo, takeResponse, tunnelTo } from './testing/clients.ts'
import { settled } from './testing/waits.ts'

const run = promisify(execFile)
const hasCurl = spawnSync('curl', ['--version']).status === 0

describe('fetch', () => {
  it('goes through the mitm, plain and in TLS, and trusts its authority', async () => {
    await using plain = await httpServer()
    await using secure = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'shop.test': plain.authority, 'pay.test': secure.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    expect(await (await mitm.fetch('http://shop.test/a')).text()).toBe('GET /a')
    expect(await (await mitm.fetch('https://pay.test/b', { method: 'POST', body: 'x' })).text()).toBe('POST /b')
    expect(mitm.exchanges.map(String)).toEqual(['GET http://shop.test/a -> 200', 'POST https://pay.test/b -> 200'])
  })

  it('shows an answer of a rule, and a dial error as 502', async () => {
    await using mitm = await startMitm({ hosts: { 'gone.test': `127.0.0.1:${await closedPort()}` } })
    mitm.get('https://api.test/price').json({ eur: 42 })
    expect(await (await mitm.fetch('https://api.test/price')).json()).toEqual({ eur: 42 })
    await expect(mitm.fetch('http://gone.test/')).rejects.toThrow()
    expect(mitm.errors.map(({ code }) => code)).toContain('MITM_DIAL_FAILED')
  })

  it('is refused after close()', async () => {
    const mitm = await startMitm()
    await mitm.close()
    await expect(mitm.fetch('http://a.test/')).rejects.toMatchObject({ code: 'MITM_NOT_RUNNING' })
  })
})

describe('requests', () => {
  it('are those that match, or all, in the order in which they began', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200, 'ok')
    for (const path of ['a', 'b', 'a']) {
      await (await mitm.fetch(`http://x.test/${path}`)).text()
    }
    expect(mitm.requests()).toEqual(mitm.exchanges)
    expect(mitm.requests('**/a')).toEqual([mitm.exchanges[0], mitm.exchanges[2]])
    expect(mitm.requests({ status: 200 })).toHaveLength(3)
    expect(mitm.requests(({ request }) => request.target.endsWith('b'))).toEqual([mitm.exchanges[1]])
    expect(() => mitm.requests({ nonsense: 1 } as never)).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_FILTER' }) as Error,
    )
  })
})

describe('waitForRequest() and waitForResponse()', () => {
  it('resolve with what has passed already, and with what is still to come', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const coming = mitm.waitForRequest('**/slow')
    const answered = mitm.waitForResponse('**/slow')
    const client = await tunnelTo(mitm, origin.authority)
    client.write('GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n')
    const exchange = await coming
    expect(exchange.response).toBeUndefined()
    expect(await mitm.waitForRequest('**/slow')).toBe(exchange)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    let isAnswered = false
    void answered.then(() => (isAnswered = true))
    expect(await settled(() => isAnswered)).toBe(false)
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
    expect(await answered).toBe(exchange)
    expect(exchange.endReason).toBeUndefined()
  })

  it('give up in time, saying what was waited for and how much else came', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200)
    await mitm.fetch('http://x.test/other')
    const waiting = mitm.waitForRequest({ method: 'POST', url: '**/charge' }, { timeoutMs: 20 })
    await expect(waiting).rejects.toMatchObject({ code: 'MITM_WAIT_TIMEOUT' })
    await expect(waiting).rejects.toThrow(/POST \*\*\/charge.*none in 20 ms; 1 other requests came/)
  })

  it('refuse options that they do not have, such as Playwright\'s "timeout"', async () => {
    await using mitm = await startMitm()
    const options: object = { timeout: 200 }
    await expect(mitm.waitForRequest('**', options)).rejects.toThrow('"timeout"')
    await expect(mitm.waitForIdle(options)).rejects.toThrow('MITM_INVALID_OPTION')
  })

  it('give up when the mitm is closed, or by a signal', async () => {
    const mitm = await startMitm()
    const controller = new AbortController()
    const aborted = mitm.waitForResponse('**', { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    const closed = expect(mitm.waitForRequest('**')).rejects.toThrow('the mitm was closed')
    await mitm.close()
    await closed
  })
})

describe('waitForIdle()', () => {
  it('waits for what is in flight, then for quiet', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await origin.next()
    await server.until('\r\n\r\n')
    expect(await mitm.waitForIdle({ quietMs: 1, timeoutMs: 30 })).toBe(false)
    let isIdle = false
    const idle = mitm.waitForIdle({ quietMs: 20 }).then((value) => (isIdle = value))
    expect(await settled(() => isIdle)).toBe(false)
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(await idle).toBe(true)
  })

  it('does not wait for event streams, nor for what became another protocol', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    for (const head of [
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ]) {
      const client = await tunnelTo(mitm, origin.authority)
      client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
      const server = await origin.next()
      await server.until('\r\n\r\n')
      server.write(head)
      await client.until(head)
    }
    expect(await mitm.waitForIdle({ quietMs: 5, timeoutMs: 2000 })).toBe(true)
  })

  it('is met at once where nothing ever happened, after the quiet time', async () => {
    await using mitm = await startMitm()
    expect(await mitm.waitForIdle({ quietMs: 0 })).toBe(true)
    expect(await mitm.waitForIdle({ quietMs: 50, timeoutMs: 10 })).toBe(false)
  })
})

describe('reset()', () => {
  it('drops rules, records and errors, and keeps connections and the port', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'gone.test': `127.0.0.1:${await closedPort()}` } })
    const { port } = mitm
    mitm.get('**/mock').respond(200, 'mock')
    const client = await connectTo(mitm)
    const ask = async (url: string): Promise<string> => {
      client.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`)
      return String((await takeResponse(client)).body)
    }
    expect(await ask(`${origin.origin}/mock`)).toBe('mock')
    await ask('http://gone.test/')
    expect(mitm.errors).toHaveLength(1)
    mitm.reset()
    expect([mitm.exchanges, mitm.connections, mitm.rules, mitm.errors]).toEqual([[], [], [], []])
    expect(await ask(`${origin.origin}/mock`)).toBe('GET /mock')
    expect(mitm.exchanges).toHaveLength(1)
    expect(mitm.connections).toHaveLength(1)
    expect(mitm.port).toBe(port)
  })
})

describe('env()', () => {
  it('names files that exist while the mitm runs, and is refused after', async () => {
    const mitm = await startMitm()
    const env = mitm.env()
    expect(env).toMatchObject({ HTTP_PROXY: mitm.url, https_proxy: mitm.url, NO_PROXY: '' })
    expect(existsSync(env['NODE_EXTRA_CA_CERTS'] ?? '')).toBe(true)
    expect(existsSync(env['SSL_CERT_FILE'] ?? '')).toBe(true)
    await mitm.close()
    expect(existsSync(env['NODE_EXTRA_CA_CERTS'] ?? '')).toBe(false)
    expect(() => mitm.env()).toThrow(expect.objectContaining({ code: 'MITM_NOT_RUNNING' }))
  })

  it('sends a Node process through the mitm, which it trusts', async () => {
    await using mitm = await startMitm()
    mitm.get('https://api.test/price').json({ eur: 42 })
    const program = `
      import { EnvHttpProxyAgent, fetch } from 'undici'
      const response = await fetch('https://api.test/price', { dispatcher: new EnvHttpProxyAgent() })
      console.log(await response.text())`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { ...process.env, ...mitm.env() },
    })
    expect(stdout.trim()).toBe('{"eur":42}')
    expect(mitm.exchanges.map(String)).toEqual(['GET https://api.test/price -> 200'])
  })

  it.skipIf(!hasCurl)('sends curl through the mitm, to loopback addresses too', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    mitm.get('https://api.test/**').respond(200, 'sealed')
    const env = { ...process.env, ...mitm.env() }
    const { stdout } = await run('curl', ['-sS', 'https://api.test/x', `${origin.origin}/y`], { env })
    expect(stdout).toBe('sealedGET /y')
    expect(mitm.exchanges).toHaveLength(2)
  })
})

describe('bodies', () => {
  it('are kept up to maxBodyBytes, and pass whole', async () => {
    await using origin = await httpServer((request, response) => request.pipe(response))
    await using mitm = await startMitm({ maxBodyBytes: 10, hosts: { 'a.test': origin.authority } })
    const sent = 'x'.repeat(100_000)
    const response = await mitm.fetch('http://a.test/', { method: 'POST', body: sent })
    expect(await response.text()).toBe(sent)
    await mitm.waitForIdle({ quietMs: 1 })
    const [exchange] = mitm.exchanges
    expect(exchange?.request).toMatchObject({ bodySize: 100_000, isBodyTruncated: true })
    expect(exchange?.response?.body).toHaveLength(10)
    expect(() => exchange?.response?.text()).toThrow(expect.objectContaining({ code: 'MITM_BODY_TRUNCATED' }))
  })
})

it('has a short word for rules of each method', async () => {
  await using mitm = await startMitm()
  for (const method of ['get', 'post', 'put', 'patch', 'delete', 'head'] as const) {
    const rule = mitm[method](/\/a$/).respond(204)
    expect((await mitm.fetch('http://api.test/a', { method: method.toUpperCase() })).status).toBe(204)
    expect([method, rule.calls]).toEqual([method, 1])
    rule.remove()
  }
})
