import { setTimeout as delay } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { http2Server, http2Through, request } from '../../testing/http2.ts'

describe('responseTimeoutMs in HTTP/2', () => {
  it('answers 504 when no response has begun, and leaves the other streams alone', async () => {
    await using origin = await http2Server((stream, headers) => {
      if (headers[':path'] === '/slow') return
      stream.respond({ ':status': 200 })
      stream.end('fast')
    })
    await using mitm = await startMitm({ responseTimeoutMs: 40, hosts: { 'a.test': origin.authority } })
    const session = await http2Through(mitm, 'a.test:80')
    const [slow, fast] = await Promise.all([
      request(session, { ':path': '/slow' }),
      request(session, { ':path': '/fast' }),
    ])
    expect(slow).toMatchObject({ status: 504, headers: { 'x-playwright-mitm-error': 'MITM_RESPONSE_TIMEOUT' } })
    expect(slow.body).toContain(
      `No response to GET http://a.test:80/slow: ${origin.authority} has had the request for 40 ms`,
    )
    expect(fast.body).toBe('fast')
    expect((await request(session, { ':path': '/fast' })).body).toBe('fast')
    expect(mitm.errors).toMatchObject([{ code: 'MITM_RESPONSE_TIMEOUT', side: 'server', authority: 'a.test:80' }])
    session.destroy()
  })

  it('begins when the request has gone out whole, and anew with an interim response', async () => {
    await using origin = await http2Server((stream) => {
      stream.on('data', () => undefined)
      stream.on('end', () => {
        const hint = (): void => stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' })
        setTimeout(hint, 200)
        setTimeout(() => {
          stream.respond({ ':status': 200 })
          stream.end('late')
        }, 400)
      })
    })
    await using mitm = await startMitm({ responseTimeoutMs: 300, hosts: { 'a.test': origin.authority } })
    const session = await http2Through(mitm, 'a.test:80')
    const stream = session.request({ ':path': '/', ':method': 'POST' })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.write('half')
    await delay(350)
    stream.end('half')
    await new Promise((resolve) => stream.once('close', resolve))
    expect(Buffer.concat(chunks).toString()).toBe('late')
    expect(mitm.errors).toEqual([])
    session.destroy()
  })
})
